"""What a tree may hold beside the owner's files: masks, and the settings it was rendered with."""

import dataclasses
import json
import pathlib

from vireid_jax.common.errors import UserError
from vireid_jax.data.layout.common import Layout
from vireid_jax.data.layout.problems import enumeration, shown
from vireid_jax.data.regular_files import is_regular, read_text

MASKS = "masks"
WORLD = "SYNTHETIC.json"  # the settings, where a rendered tree stands in for a data set


def with_masks(layout: Layout) -> Layout:
  """Returns the layout with the masks of a parallel folder, unchanged where there is none.

  The mask of cam1/0001/0001.jpg is masks/cam1/0001/0001.png.

  Raises:
    UserError: the folder is there and some images have no mask in it.
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
      f"{enumeration(missing, 5)}. Add them, or move the folder away to go without masks."
    )
  images = tuple(
    dataclasses.replace(image, mask=layout.root / name)
    for image, name in zip(layout.images, names, strict=True)
  )
  return dataclasses.replace(layout, images=images)


def with_world(layout: Layout) -> Layout:
  """Returns the layout whose metadata keep the settings that the tree was rendered with, if any."""
  path = layout.root / WORLD
  if not (layout.metadata["synthetic"] and is_regular(path)):
    return layout
  try:
    world = json.loads(read_text(path))
  except (ValueError, RecursionError) as error:
    raise UserError(f"{shown(str(path))} is damaged ({error}); render the tree again") from error
  return dataclasses.replace(layout, metadata={**layout.metadata, "world": world})
