"""CAJ+ on SYSU-MM01, with the settings of its published code. Not run on the real data yet.

  python -m vireid_jax.main --config configs/cajplus_sysu.py

CAJ, a term through which the weak view learns from the strong one, and stronger augmentation.

Reference:
  Ye et al., "Channel Augmentation for Visible-Infrared Re-Identification", TPAMI 2024.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:val` (the 99 val identities are held out and evaluated instead of the test set),
  `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("caj_sysu", "sysu_mm01")
  config.train.steps_per_epoch = 696  # floor(22,258 visible images / 32) + 1, as published
  config.method.weak_to_strong.weight = 1.0
  augment(config)
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)


def augment(config) -> None:
  """Stronger erasing and channel operations; a tenth of the weak views is gray."""
  *moved, normalize, _ = config.augment.visible
  erasing = "random_erasing(probability={}, value=(0.4914, 0.4822, 0.4465), attempts=100)"
  visible, infrared = erasing.format(0.6), erasing.format(0.5)
  config.augment.visible = (*moved, "luma(probability=0.1)", normalize, visible)
  config.augment.visible_2 = (*moved, normalize, visible, "channel_exchange()")
  config.augment.infrared = (*moved, normalize, infrared, "channel_adap_gray(probability=0.6)")
