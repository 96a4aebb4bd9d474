"""Default configs, from which config files start."""

from ml_collections import ConfigDict

from vireid_jax.common.errors import choose
from vireid_jax.common.records import SECOND_VIEW
from vireid_jax.config.datasets import DATASETS

AUGMENTATIONS = {
  "crop_flip": ("pad_crop(padding=10, fill=0)", "flip()", "normalize()"),
}


def default_config(method: str, dataset: str) -> ConfigDict:
  """Returns the default config of a method and a data set.

  Args:
    method: Name of a method. All its options are filled in, so that each can be overridden on the
      command line.
    dataset: 'sysu_mm01', 'regdb', 'llcm', 'own' or 'vireid_synthetic'.

  Raises:
    UserError: Unknown method or data set.
  """
  # Imported here, so that --help and typos are answered at once: importing JAX takes a second.
  from vireid_jax import methods

  choose(dataset, DATASETS, "data set")
  config = ConfigDict()
  config.seed = 0
  config.pretrained = ""  # a file or hub name of ImageNet weights; empty: random values
  config.data = _data_defaults()
  config.sampler = ConfigDict({"name": "pairs", "num_identities": 8, "num_instances": 4})
  config.method = ConfigDict({"name": method, **methods.defaults(method)})
  config.augment = _augment_defaults(methods.needs_second_view(config.method))
  config.numerics = ConfigDict({"dtype": "auto", "conv_impl": "auto", "unbiased_variance": False})
  config.optim = _optimizer_defaults()
  config.train = ConfigDict(
    {
      "duration": "80 epochs",
      "steps_per_epoch": 0,  # 0: as many as the sampler needs to use all images once
      "accumulate": 1,  # blocks of identities, computed sequentially; losses see one block each
      "remat": "none",  # what is recomputed to save memory; see `vireid_jax.training.gradients`
    }
  )
  config.checkpoint = ConfigDict(
    {
      "every": "5 epochs",
      "keep": 2,  # latest checkpoints
      "keep_every": "",  # also those at multiples of this duration
      "keep_best": "",
    }
  )
  config.eval = evaluation_defaults()
  config.log = ConfigDict({"every": "50 steps", "tensorboard": True, "wandb": False})
  DATASETS[dataset](config)
  return config


def _data_defaults() -> ConfigDict:
  """Returns `data` without what the data set decides."""
  return ConfigDict(
    {
      "dir": "",  # empty: $TFDS_DATA_DIR or ~/tensorflow_datasets
      "image_size": (288, 144),
      "resize": "lanczos",
      "trial": 1,  # replaces {trial} in names of splits: RegDB has ten trials
      "drop_unpaired": False,
      "placement": "auto",  # where training images are kept: 'device', 'host', 'stream' (disk)
    }
  )


def _augment_defaults(second_view: bool) -> ConfigDict:
  crop_flip = AUGMENTATIONS["crop_flip"]
  return ConfigDict(
    {
      "pair": (),  # applied first, with the same draw for both images of a pair
      "visible": crop_flip,
      "infrared": crop_flip,
      # A second, independently augmented view of each visible image, for methods that train on two.
      SECOND_VIEW: crop_flip if second_view else (),
    }
  )


def _optimizer_defaults() -> ConfigDict:
  return ConfigDict(
    {
      "name": "sgd",  # 'sgd', 'adam' or 'adamw'
      "lr": 0.1,
      "lr_multipliers": {},
      "momentum": 0.9,
      "nesterov": True,
      "weight_decay": 5e-4,
      "no_decay": (),
      "schedule": "steps",  # 'steps', 'cosine' or 'one_cycle': see `optim.make_schedule`
      "update_every": "epoch",  # when the rate changes: 'epoch', 'step' or 'late_step'
      "warmup": "10 epochs",
      "warmup_from": 0.0,  # factor at the start of the warm-up
      "decay_at": ("20 epochs", "50 epochs"),
      "decay_to": (0.1, 0.01),
    }
  )


def evaluation_defaults() -> ConfigDict:
  """Returns `eval` without a protocol."""
  return ConfigDict(
    {
      "every": "",
      "at_start": False,
      "quick": False,  # during training, evaluate only trial 0 of the plain settings
      "batch": 128,
      "split": "test",
      "features": (),  # empty: the method's choice; several share one pass over the images
      "normalize": True,
      "flip": False,
      "rerank": False,
      "rerank_options": {
        "k1": 20,
        "k2": 6,
        "lambda_value": 0.3,
        "query_only": False,
      },
      "affinity": False,
      "affinity_options": {"k1": 0, "k2": 0},
      "mser": False,
      "mser_options": {"k1": 40, "k2": 20, "lambda_value": 0.3},
      "mixed": False,
      "verification": False,  # ROC and distances, in --mode=evaluate
      "corruption": {"draws": 0, "kinds": (), "severities": (1, 2, 3, 4, 5), "seed": 0},
      "allow_mismatch": False,  # evaluate even if the inputs differ from those in training
    }
  )
