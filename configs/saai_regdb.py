"""SAAI on RegDB, with the settings of its published code. Not run on the real data yet.

4 identities x (4 visible + 4 infrared) images, without MAM. A full result is the mean over ten
trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/saai_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mam`, `:parts`, `:diversity`, `:center` (the method built up, each with
  all before it), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("saai_sysu", "regdb")
  config.sampler.num_identities = 4
  config.method.mam = False
  return config_lib.apply_variants(config, arg)
