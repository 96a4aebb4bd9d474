"""Methods small enough for a test, and the batches that they take."""

import numpy as np

from vireid_jax import methods
from vireid_jax.models.numerics import Numerics

NUMERICS = Numerics("float32", "xla")
CLASSES = 5


def make(name, numerics=NUMERICS, **options):
  """Returns a method's smallest network for five people and three steps an epoch.

  Args:
    name: of the method.
    numerics: of its network.
    **options: of the method; a dictionary for a section.
  """
  return methods.create(
    {"name": name, **methods.smallest(name), **options},
    num_classes=CLASSES,
    steps_per_epoch=3,
    numerics=numerics,
  )


def make_batch(pairs=4, size=(32, 16), seed=0):
  """Returns pairs of images of noise, two pairs of each person, with a second visible view."""
  images = np.random.default_rng(seed).normal(size=(3, pairs, *size, 3)).astype(np.float32)
  batch = dict(zip(("visible", "infrared", "visible_2"), images, strict=True))
  return {**batch, "label": np.arange(pairs, dtype=np.int32) // 2}
