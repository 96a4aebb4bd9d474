"""Optional files beside the owner's: masks, and the settings with which a tree was rendered."""

import dataclasses
import json
import pathlib

from vireid_jax.common.errors import UserError
from vireid_jax.data.layout.common import Layout
from vireid_jax.data.layout.problems import enumeration, shown
from vireid_jax.data.regular_files import is_regular, read_text

MASKS = "masks"
WORLD = "SYNTHETIC.json"  # settings of a rendered tree that replaces a data set


def with_masks(layout: Layout) -> Layout:
  """Returns the layout with masks from a parallel folder, or unchanged if there is none.

  The mask of cam1/0001/0001.jpg is masks/cam1/0001/0001.png.

  Raises:
    UserError: The folder exists but lacks the masks of some images.
  """
  if not (layout.root / MASKS).is_dir():
    return layout
  names = [
    pathlib.PurePosixPath(MASKS, image.file_name).with_suffix(".png") for image in layout.images
  ]
  missing = [str(name) for name in names if not is_regular(layout.root / name)]
  if missing:
    raise UserError(
      f"{layout.root / MASKS} has no mask for {len(missing)} of {len(names)} images: "
      f"{enumeration(missing, 5)}. Add them, or move the folder away to prepare without masks."
    )
  images = tuple(
    dataclasses.replace(image, mask=layout.root / name)
    for image, name in zip(layout.images, names, strict=True)
  )
  return dataclasses.replace(layout, images=images)


def with_world(layout: Layout) -> Layout:
  """Returns the layout with the settings of a rendered tree in its metadata."""
  path = layout.root / WORLD
  if not (layout.metadata["synthetic"] and is_regular(path)):
    return layout
  try:
    world = json.loads(read_text(path))
  except (ValueError, RecursionError) as error:
    raise UserError(f"{shown(str(path))} is damaged ({error}); render the tree again") from error
  return dataclasses.replace(layout, metadata={**layout.metadata, "world": world})
