"""MPANet on RegDB, with the settings of its published code. Not run on the real data yet.

The published evaluation does not L2-normalise the features. A full result is the mean over ten
trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/mpanet_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mam`, `:pam`, `:separation`, `:center_cluster` (the method built up, each
  with all before it), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("mpanet_sysu", "regdb")
  config.data.image_size = (256, 128)
  config.sampler.num_identities = 12
  config.sampler.num_instances = 5
  config.optim.decay_at = ("80 epochs", "110 epochs")
  config.eval.normalize = False
  return config_lib.apply_variants(config, arg)
