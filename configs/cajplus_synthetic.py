"""CAJ+, small enough for a laptop, on rendered pedestrians in SYSU-MM01's protocol.

  python -m vireid_jax.main --config configs/cajplus_synthetic.py

In the frame of agw_synthetic.py. Its numbers say nothing about real images.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:smoke` (seconds)."""
  config = config_lib.on_dataset("caj_synthetic", "vireid_synthetic")
  config.method.weak_to_strong.weight = 1.0
  augment(config)
  return config_lib.apply_variants(config, arg)


def augment(config) -> None:
  """Stronger erasing and channel operations; a tenth of the weak views is gray."""
  *moved, normalize, _ = config.augment.visible
  erasing = "random_erasing(probability={}, value=(0.4914, 0.4822, 0.4465), attempts=100)"
  visible, infrared = erasing.format(0.6), erasing.format(0.5)
  config.augment.visible = (*moved, "luma(probability=0.1)", normalize, visible)
  config.augment.visible_2 = (*moved, normalize, visible, "channel_exchange()")
  config.augment.infrared = (*moved, normalize, infrared, "channel_adap_gray(probability=0.6)")
