"""DEEN on LLCM, the data set of its authors, with the settings of their code.

  python -m vireid_jax.main --config configs/deen_llcm.py

Not run on the real data yet. The README of their code gives numbers for visible queries that were
scored the other way round: docs/protocols.md.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mfa`, `:dee`, `:cpm` (the method built up, each with all before it),
  `:clean` (position affinities between whole maps), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("deen_sysu", "llcm")
  erasing = "random_erasing(area=(0.02, 0.4), value=(0.485, 0.456, 0.406), attempts=100)"
  config.augment.visible = config.augment.infrared = (*config.augment.visible[:-1], erasing)
  config.train.steps_per_epoch = 707  # floor(16,946 visible images / 24) + 1, as published
  return config_lib.apply_variants(config, arg)
