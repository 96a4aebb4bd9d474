"""MCJA on RegDB, with the settings of its published code: 4 identities x 32 images, drawn with
replacement, twelve contexts, 300 epochs at a constant rate. Not run on the real data yet.

A full result is the mean over ten trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/mcja_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base` (cross-entropy, no MDA), `:mda` (no retrieval loss), `:retrieval` (no MDA),
  `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("mcja_sysu", "regdb")
  config.sampler.num_identities = 4
  config.sampler.num_instances = 16
  config.method.num_contexts = 12
  config.optim.decay_at = config.optim.decay_to = ()
  config.train.duration = "300 epochs"
  return config_lib.apply_variants(config, arg)
