"""Descriptions of common config keys; options of methods and protocols have docstrings."""

DESCRIPTIONS = {
  "seed": "Seed of all randomness: initial parameters, batches, augmentation.",
  "pretrained": (
    "Weights to start from: a PyTorch or safetensors file, or `hf://NAME`; '' draws random values."
  ),
  "data.name": "Name of the data set, as `vireid list` prints it.",
  "data.dir": "Root of the prepared data sets; '' is `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.",
  "data.train_splits": "Splits to train on; {trial} in a name is replaced by `data.trial`.",
  "data.trial": "Trial of a data set with several, such as RegDB's ten.",
  "data.image_size": "Height and width of the network's input, in pixels.",
  "data.resize": "Filter for resizing images.",
  "data.render": "Preset of rendered images that replace the real ones, for tests.",
  "data.drop_unpaired": "Leave out training identities that one modality lacks.",
  "data.placement": (
    "Where training images are kept: 'device', 'host' or 'stream' (read from disk); 'auto' takes "
    "the first with enough memory."
  ),
  "sampler.name": (
    "How batches are drawn: 'pairs' (as AGW, with replacement), 'distinct_pairs' (as PMT, no image "
    "twice in a batch), 'groups' (as MPANet, no image twice in a round) or 'any_modality' (as "
    "MCJA, likewise, 2 K images of an identity regardless of modality)."
  ),
  "sampler.num_identities": "Number of identities in a batch (P).",
  "sampler.num_instances": "Number of images of each identity and modality in a batch (K).",
  "augment.pair": "Operations applied first, with the same draw for both images of a pair.",
  "augment.visible": "Operations on visible images, in order.",
  "augment.visible_2": "Operations on a second view of visible images; () disables it.",
  "augment.infrared": "Operations on infrared images, in order.",
  "method.name": "Name of the method, as `vireid list` prints it, or dotted name of your module.",
  "numerics.dtype": (
    "Dtype of activations: 'auto' is bfloat16 on accelerators and float32 on CPU. Parameters, "
    "statistics and losses stay float32 (float64 with 'float64')."
  ),
  "numerics.conv_impl": (
    "Lowering of convolutions: 'xla', 'dot' (matrix products), or 'auto' for the faster one on the "
    "backend."
  ),
  "numerics.unbiased_variance": (
    "Divide the running variance by n - 1, as PyTorch does; for training continued from imported "
    "weights."
  ),
  "optim.name": "Optimiser: 'sgd', 'adam' (weight decay inside the gradient) or 'adamw'.",
  "optim.lr": "Peak learning rate.",
  "optim.lr_multipliers": "Factor of the rate by module, the innermost first: {'backbone': 0.1}.",
  "optim.momentum": "Momentum of 'sgd'.",
  "optim.nesterov": "Use Nesterov's momentum with 'sgd'.",
  "optim.weight_decay": "Weight decay.",
  "optim.no_decay": "Names of modules or parameters without weight decay, besides the method's.",
  "optim.schedule": "Shape of the rate: 'steps', 'cosine' or 'one_cycle' (a triangle).",
  "optim.update_every": "When the rate changes: every 'epoch' or 'step'; 'late_step' is DNS's.",
  "optim.warmup": "Length of the warm-up; a duration.",
  "optim.warmup_from": "Factor on the rate at the start of the warm-up.",
  "optim.decay_at": "When the rate falls: durations from the start; one for 'cosine', 'one_cycle'.",
  "optim.decay_to": "Factors on the rate from these moments on.",
  "train.duration": "Length of training; a duration.",
  "train.steps_per_epoch": "Number of steps in an epoch; 0 takes the sampler's.",
  "train.accumulate": (
    "Number of blocks of identities that a batch is cut into to save memory; losses see one block "
    "at a time."
  ),
  "train.remat": "What is recomputed in the backward pass to save memory.",
  "checkpoint.every": "Duration between checkpoints.",
  "checkpoint.keep": "Number of latest checkpoints to keep.",
  "checkpoint.keep_every": "Also keep checkpoints at multiples of this duration; '' is never.",
  "checkpoint.keep_best": (
    "SETTING/METRIC by which the best checkpoint is kept in best/, on held-out identities; '' "
    "keeps none."
  ),
  "eval.every": "Duration between evaluations during training; '' is at the end only.",
  "eval.at_start": "Also evaluate before the first step.",
  "eval.quick": "During training, evaluate only the first trial of the plain settings.",
  "eval.batch": "Number of images embedded at a time.",
  "eval.split": "Split to evaluate on; {trial} in it is replaced by `data.trial`.",
  "eval.features": "Features to evaluate, in one pass over the images; () is the method's choice.",
  "eval.normalize": "L2-normalise features.",
  "eval.flip": "Add the features of the mirrored image.",
  "eval.rerank": "Also evaluate with k-reciprocal re-ranking, which is transductive.",
  "eval.rerank_options.k1": "Number of neighbours in the reciprocal sets.",
  "eval.rerank_options.k2": "Number of neighbours for query expansion.",
  "eval.rerank_options.lambda_value": "Share of the original distance, in [0, 1].",
  "eval.rerank_options.query_only": (
    "Take neighbours from the queries only, as the code of one published paper does."
  ),
  "eval.affinity": "Also evaluate with affinity inference, which is transductive.",
  "eval.affinity_options.k1": "Number of affinities kept per image; 0 for the published number.",
  "eval.affinity_options.k2": (
    "Number of gallery images over which affinities are averaged; 0 for the published number."
  ),
  "eval.mser": (
    "Also evaluate with re-ranking over the colour channels (MCJA's MSER), which is transductive."
  ),
  "eval.mser_options.k1": "Number of versions of images in the reciprocal sets.",
  "eval.mser_options.k2": "Number of versions over which encodings are averaged.",
  "eval.mser_options.lambda_value": "Share of the original distance, in [0, 1].",
  "eval.mixed": "Also evaluate with galleries of both modalities.",
  "eval.verification": "Compute ROC and distances of pairs, in `vireid evaluate`.",
  "eval.corruption.draws": "Number of corrupted copies of the test set; 0 is none.",
  "eval.corruption.kinds": "Kinds of corruption; () is all.",
  "eval.corruption.severities": "Severities to draw from, 1 to 5.",
  "eval.corruption.seed": "Seed of the first copy.",
  "eval.allow_mismatch": (
    "Evaluate even if the network's inputs or settings differ from those in training."
  ),
  "eval.protocol.name": "Name of the protocol, as `vireid list` prints it.",
  "log.every": "Duration between lines of metrics.jsonl.",
  "log.tensorboard": "Also write TensorBoard event files, if tensorboardX is installed.",
  "log.wandb": "Also log to Weights & Biases, which needs the extra `wandb`.",
}
