"""One line on every key that all configs have; the method's and protocol's own have docstrings."""

DESCRIPTIONS = {
  "seed": "Seed of everything random: initial values, batches, augmentation.",
  "pretrained": (
    "Weights to start from: a file in PyTorch's or safetensors' format, or `hf://NAME`; '' draws "
    "random values."
  ),
  "data.name": "Name of the data set, as `vireid list` prints it.",
  "data.dir": "Root of the prepared data sets; '' is `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.",
  "data.train_splits": "Splits to train on; {trial} in a name stands for `data.trial`.",
  "data.trial": "Trial of a data set that has several, such as RegDB's ten.",
  "data.image_size": "Height and width of the network's input, in pixels.",
  "data.resize": "Filter that images are resized by.",
  "data.render": "Preset of the renderer that stands in for the real images; for tests.",
  "data.drop_unpaired": "Leave out training identities that one modality lacks.",
  "data.placement": (
    "Where training images are kept: 'device', 'host', 'stream' (read from disk); 'auto' takes the "
    "first that has room."
  ),
  "sampler.name": (
    "How batches are drawn: 'pairs' (as AGW, with replacement) or 'groups' (as MPANet, without)."
  ),
  "sampler.num_identities": "Number of identities in a batch (P).",
  "sampler.num_instances": "Number of images of each identity and modality in a batch (K).",
  "augment.pair": "Operations that both images of a pair share; they come first.",
  "augment.visible": "Operations on visible images, in order.",
  "augment.visible_2": "Operations on a second view of visible images; () is none.",
  "augment.infrared": "Operations on infrared images, in order.",
  "method.name": "Name of the method, as `vireid list` prints it, or of a module of your own.",
  "numerics.dtype": (
    "Dtype of activations: 'auto' is bfloat16 on accelerators and float32 on CPU. Parameters, "
    "statistics and losses stay float32 (float64 with 'float64')."
  ),
  "numerics.conv_impl": (
    "How convolutions are lowered: 'xla', 'dot' (matrix products), or 'auto' for what is fast on "
    "the backend."
  ),
  "numerics.unbiased_variance": (
    "Keep the running variance divided by n - 1, as PyTorch does; for runs continued from imported "
    "weights."
  ),
  "optim.name": "Optimiser: 'sgd', 'adam' (weight decay inside the gradient) or 'adamw'.",
  "optim.lr": "Peak learning rate.",
  "optim.lr_multipliers": "Factor of the rate by module, the innermost first: {'backbone': 0.1}.",
  "optim.momentum": "Momentum of 'sgd'.",
  "optim.nesterov": "Use Nesterov's momentum with 'sgd'.",
  "optim.weight_decay": "Weight decay.",
  "optim.no_decay": "Names of modules or parameters without weight decay, beside the method's own.",
  "optim.schedule": "Shape of the rate: 'steps', 'cosine' or 'one_cycle' (a triangle).",
  "optim.update": "When the rate changes: between epochs ('epoch') or steps ('step', 'late_step').",
  "optim.warmup": "How long the rate climbs at the start; a duration.",
  "optim.warmup_from": "Factor of the rate at which the climb starts.",
  "optim.decay_at": "When the rate falls, durations from the start; one for 'cosine', 'one_cycle'.",
  "optim.decay_to": "Factors of the rate from these moments on.",
  "train.duration": "Length of the training; a duration.",
  "train.steps_per_epoch": "Number of steps in an epoch; 0 is what the sampler needs.",
  "train.accumulate": (
    "Number of blocks of identities that a batch is cut into to save memory; losses see one block "
    "at a time."
  ),
  "train.remat": "What is computed twice to save memory.",
  "checkpoint.every": "Duration between checkpoints.",
  "checkpoint.keep": "Number of latest checkpoints to keep.",
  "checkpoint.keep_every": "Keep checkpoints at multiples of this duration too; '' is never.",
  "checkpoint.keep_best": (
    "SETTING/METRIC by which the best checkpoint is kept in best/, on held-out identities; '' "
    "keeps none."
  ),
  "eval.every": "Duration between evaluations during training; '' is at the end only.",
  "eval.at_start": "Evaluate before the first step too.",
  "eval.quick": "Evaluations during training: the first trial of the plain settings only.",
  "eval.batch": "Number of images that are embedded at a time.",
  "eval.split": "Split to evaluate on; {trial} in it stands for `data.trial`.",
  "eval.features": "Features to evaluate, in one pass over the images; () is the method's own.",
  "eval.normalize": "L2-normalise features.",
  "eval.flip": "Add the features of the mirrored image.",
  "eval.rerank": "Evaluate with k-reciprocal re-ranking too.",
  "eval.rerank_options.k1": "Number of neighbours in the reciprocal sets.",
  "eval.rerank_options.k2": "Number of neighbours for query expansion.",
  "eval.rerank_options.lambda_value": "Share of the original distance, in [0, 1].",
  "eval.rerank_options.query_only": (
    "Take neighbours from the queries only, as the code of one published paper does."
  ),
  "eval.mixed": "Evaluate with galleries of both modalities too.",
  "eval.verification": "Compute ROC and distances of pairs, in `vireid evaluate`.",
  "eval.corruption.draws": "Number of corrupted copies of the test set; 0 is none.",
  "eval.corruption.kinds": "Kinds of corruption; () is all.",
  "eval.corruption.severities": "Severities that are drawn from, 1 to 5.",
  "eval.corruption.seed": "Seed of the first copy.",
  "eval.allow_mismatch": "Evaluate although the network sees something else than in training.",
  "eval.protocol.name": "Name of the protocol, as `vireid list` prints it.",
  "log.every": "Duration between lines of metrics.jsonl.",
  "log.tensorboard": "Write TensorBoard's event files too.",
}
