"""DNS on LLCM, with the settings of its published code, which are those of `dns_sysu.py`.

  python -m vireid_jax.main --config configs/dns_llcm.py

Not run on the real data yet.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:strong` (the plain baseline), `:hss`, `:alignment`, `:distillation`, `:no_hss`,
  `:no_css` (the ablation, docs/methods.md), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("dns_sysu", "llcm")
  config.train.steps_per_epoch = 707  # floor(16,946 visible images / 24) + 1, as published
  return config_lib.apply_variants(config, arg)
