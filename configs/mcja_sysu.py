"""MCJA on SYSU-MM01, with the settings of its published code.

  python -m vireid_jax.main --config configs/mcja_sysu.py

8 identities x 16 images of either modality, Adam, 140 epochs. The paper's numbers are re-ranked:
docs/evaluation.md. Not run on the real data yet.

Reference:
  Liang et al., "Bridging the Gap: Multi-Level Cross-Modality Joint Alignment for Visible-Infrared
  Person Re-Identification", TCSVT 2024.
"""

from vireid_jax import config as config_lib

OPERATIONS = (
  "flip()",
  "pad_crop(padding=10, fill=127)",
  "normalize()",
  "random_erasing(area=(0.02, 0.3), log_aspect=True)",
)


def get_config(arg: str = ""):
  """Variants: `:base` (cross-entropy, no MDA), `:mda` (no retrieval loss), `:retrieval` (no MDA),
  `:val` (the 99 val identities are held out and evaluated instead of the test set), `:smoke`
  (seconds, on rendered images)."""
  config = config_lib.default_config("mcja", "sysu_mm01")
  config.data.image_size = (384, 192)
  config.data.resize = "bilinear"
  # Groups of 2 x 8 images regardless of modality.
  config.sampler = {"name": "any_modality", "num_identities": 8, "num_instances": 8}
  config.augment.visible = ("modality_coordinator()", *OPERATIONS)
  config.augment.infrared = OPERATIONS

  config.method.depth = 50
  config.method.num_contexts = 2
  config.method.retrieval.strength = 0.5

  config.optim.name = "adam"
  config.optim.lr = 3.5e-4
  config.optim.weight_decay = 5e-4
  config.optim.warmup = ""
  config.optim.decay_at = ("80 epochs", "120 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "140 epochs"
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
