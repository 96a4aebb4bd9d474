"""Readers of the folder layouts in which data set owners distribute their images.

Each module has `read(root) -> common.Layout`, which lists the images without decoding any, refuses
a layout that cannot be evaluated, and collects warnings about everything else.
"""

import importlib

from vireid_jax.common.errors import UserError, printable
from vireid_jax.data.layout.common import Group, Image, Layout, refuse_unusable_names
from vireid_jax.data.layout.extras import with_masks, with_world

READABLE = ("llcm", "own", "regdb", "sysu_mm01")


def read(name: str, root) -> Layout:
  """Reads a data set in its owner's layout.

  A folder `masks/` beside the owner's files may hold a pedestrian mask for each image, unless the
  layout itself says where they are.

  Args:
    name: One of `READABLE`.
    root: Folder with the owner's files.

  Raises:
    UserError: The layout cannot be evaluated, or a file or folder cannot be read.
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
  """Raises UserError if the layout became unusable because corrupt images were left out."""
  reader = importlib.import_module(f"vireid_jax.data.layout.{name}")
  if hasattr(reader, "check_again"):
    reader.check_again(layout)


__all__ = ["READABLE", "Group", "Image", "Layout", "check_again", "read"]
