"""Readers of the folder layouts in which the data sets' owners hand out their images.

Each module has `read(root) -> common.Layout`, which lists the images without decoding any,
refuses a layout that cannot be evaluated and collects warnings about everything else.
"""

import importlib

from vireid_jax.common.errors import UserError, printable
from vireid_jax.data.layout.common import Group, Image, Layout, refuse_unusable_names
from vireid_jax.data.layout.extras import with_masks, with_world

READABLE = ("llcm", "own", "regdb", "sysu_mm01")


def read(name: str, root) -> Layout:
  """Reads the owners' layout of data set `name` (one of `READABLE`) at folder `root`.

  A folder `masks/` beside the owner's files holds a pedestrian mask for each image, unless the
  layout says itself where they are.

  Raises:
    UserError: the layout cannot be evaluated, or a file or folder cannot be read.
  """
  reader = importlib.import_module(f"vireid_jax.data.layout.{name}")
  try:
    layout = with_world(reader.read(root))
    refuse_unusable_names(layout.images)
    return layout if layout.has_masks else with_masks(layout)
  except OSError as error:
    place = printable(str(error.filename or root))
    raise UserError(f"{place} cannot be read: {error.strerror or error}") from error


def check_again(name: str, layout: Layout) -> None:
  """Refuses a layout that leaving out corrupt images has made useless, where a reader can tell."""
  reader = importlib.import_module(f"vireid_jax.data.layout.{name}")
  if hasattr(reader, "check_again"):
    reader.check_again(layout)


__all__ = ["READABLE", "Group", "Image", "Layout", "check_again", "read"]
