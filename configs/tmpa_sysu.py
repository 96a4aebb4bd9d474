"""TMPA on SYSU-MM01, with AGW's schedule; the authors' settings are not known to us.

  python -m vireid_jax.main --config configs/tmpa_sysu.py

Not run on the real data yet.

Reference:
  "Transferring Modality-Aware Pedestrian Attentive Learning for Visible-Infrared Person
  Re-identification", arXiv 2312.07021.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mfe`, `:attention`, `:convolution`, `:mft`, `:pedmix` (the ablation,
  docs/methods.md); `:val` (the 99 val identities are held out and
  evaluated instead of the test set), `:smoke` (seconds, on rendered images).

  Other rows are values, such as `--config.method.pedmix.strategy=cutmix`."""
  config = config_lib.default_config("tmpa", "sysu_mm01")
  config.data.image_size = (288, 144)
  config.sampler = {"name": "pairs", "num_identities": 8, "num_instances": 4}
  operations = ("pad_crop(padding=10)", "normalize()", "random_erasing()")
  config.augment.pair = ("flip()",)  # before PedMix, so that the two pedestrians still correspond
  config.augment.visible = config.augment.infrared = operations

  config.method.depth = 50
  config.method.metric.name = "wrt"
  config.method.pedmix.strategy = "swap"
  config.method.pedmix.region = "prior"
  config.method.pedmix.ratio = 0.5
  config.method.pedmix.cam_warmup = "10 epochs"

  config.optim.name = "sgd"
  config.optim.lr = 0.1  # of transfers, necks and classifiers
  config.optim.lr_multipliers = {"backbone": 0.1}
  config.optim.weight_decay = 5e-4
  config.optim.warmup = "10 epochs"
  config.optim.decay_at = ("20 epochs", "50 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "80 epochs"
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
