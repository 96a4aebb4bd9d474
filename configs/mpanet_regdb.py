"""MPANet on RegDB, with the settings of its published code.

A full result is the mean over ten models: `python -m vireid_jax.splits`. The published evaluation
does not L2-normalise the features.
"""

from vireid_jax import config as config_lib
from vireid_jax.methods import mpanet


def get_config(arg: str = ""):
  """Variants: `:base`, `:mam`, `:pam`, `:separation`, `:center_cluster` (the method built up, each
  with all before it), `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("mpanet", "regdb")
  config.data.image_size = (256, 128)
  config.data.resize = "bilinear"
  config.sampler = {"name": "groups", "num_identities": 12, "num_instances": 5}
  operations = ("pad_crop(padding=10, fill=127)", "flip()", "normalize()")
  operations += ("random_erasing(area=(0.02, 0.33))",)
  config.augment.visible = config.augment.infrared = operations

  config.method.depth = 50
  config.method.parts = 6
  config.method.margin = 0.7

  config.optim.name = "adam"
  config.optim.lr = 3.5e-4
  config.optim.weight_decay = 5e-4
  config.optim.warmup = ""
  config.optim.decay_at = ("80 epochs", "110 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "140 epochs"
  config.eval.normalize = False
  build_up = config_lib.build_up(mpanet.WITHOUT)
  return config_lib.apply_variants(config, arg, **build_up)
