"""Readers of the folder layouts in which the data sets' owners hand out their images.

Each module has `read(root) -> common.Layout`, which lists the images without decoding any,
refuses a layout that cannot be evaluated and collects warnings about everything else.
"""

import importlib

from vireid_jax.data.layout.common import Group, Image, Layout, with_masks

READABLE = ("llcm", "own", "regdb", "sysu_mm01")


def read(name: str, root) -> Layout:
  """Reads the owners' layout of data set `name` (one of `READABLE`) at folder `root`.

  A folder `masks/` beside the owner's files holds a pedestrian mask for each image, unless the
  layout says itself where they are.
  """
  layout = importlib.import_module(f"vireid_jax.data.layout.{name}").read(root)
  return layout if layout.has_masks else with_masks(layout)


__all__ = ["READABLE", "Group", "Image", "Layout", "read"]
