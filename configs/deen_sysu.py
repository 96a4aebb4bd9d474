"""DEEN on SYSU-MM01, with the settings of its published code.

  python -m vireid_jax.main --config configs/deen_sysu.py

6 identities x (4 visible + 4 infrared) images, three embeddings each, SGD, 151 epochs, evaluated
with mirror images. Erasing takes 20 to 80 % of an image, as published. Not run on the real data
yet.

Reference:
  Zhang and Wang, "Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for
  Visible-Infrared Person Re-identification", CVPR 2023.
"""

from vireid_jax import config as config_lib

# Published as pad, grey, crop, flip, which is the same: black stays black. The fill is that of the
# published code, although the image is normalised already.
OPERATIONS = (
  "pad_crop(padding=10, fill=0)",
  "flip()",
  "luma(probability=0.5)",
  "normalize()",
  "random_erasing(area=(0.2, 0.8), value=(0.485, 0.456, 0.406), attempts=100)",
)


def get_config(arg: str = ""):
  """Variants: `:base`, `:mfa`, `:dee`, `:cpm` (the method built up, each with all before it),
  `:clean` (position affinities between whole maps), `:val` (the 99 val identities are held out and
  evaluated instead of the test set), `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("deen", "sysu_mm01")
  config.data.image_size = (384, 144)
  config.sampler.name = "pairs"
  config.sampler.num_identities = 6
  config.sampler.num_instances = 4
  config.augment.visible = config.augment.infrared = OPERATIONS

  config.method.depth = 50
  config.method.num_stages = 4
  config.method.pnl_reshape = "published"

  config.optim.name = "sgd"
  config.optim.lr = 0.1  # of neck and classifier
  config.optim.lr_multipliers = {"backbone": 0.1}
  config.optim.weight_decay = 5e-4
  config.optim.warmup = "10 epochs"
  config.optim.decay_at = ("20 epochs", "80 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "151 epochs"
  config.train.steps_per_epoch = 928  # floor(22,258 visible images / 24) + 1, as published

  config.eval.flip = True
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
