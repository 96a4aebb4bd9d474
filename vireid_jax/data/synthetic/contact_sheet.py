"""A contact sheet of several identities in all cameras, for inspection."""

import os
import pathlib

import numpy as np

from vireid_jax.common import files, paths
from vireid_jax.common.errors import UserError
from vireid_jax.common.picture_grid import picture_grid
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data.synthetic.renderer import render
from vireid_jax.data.synthetic.stream import SUFFIXES, encode
from vireid_jax.data.synthetic.world import WorldSpec


def contact_sheet(spec: WorldSpec, *, identities: int = 8, per_camera: int = 2) -> np.ndarray:
  """Renders a grid: a row per identity, `per_camera` columns per camera, visible cameras first.

  Args:
    spec: The world. Its first identities are shown in every camera, whether it saw them or not.
    identities: Largest number of rows.
    per_camera: Images per identity and camera.

  Returns:
    uint8 [rows * (h + 2), columns * (w + 2), 3], RGB.
  """
  cameras = spec.cameras(VISIBLE) + spec.cameras(INFRARED)
  columns = [(camera, index) for camera in cameras for index in range(1, per_camera + 1)]
  return picture_grid(
    (render(spec, identity, *column).image for column in columns)
    for identity in spec.identities()[:identities]
  )


def write_contact_sheet(path: str | os.PathLike, spec: WorldSpec, **shape) -> pathlib.Path:
  """Writes a contact sheet.

  Args:
    path: Path of the file; its suffix selects the format.
    spec: The world.
    **shape: `identities` and `per_camera` of `contact_sheet`.

  Returns:
    The path.

  Raises:
    UserError: The suffix is not an image format.
  """
  path = paths.path(path, "--out=")
  if path.suffix.lower() not in SUFFIXES:
    raise UserError(f"{path} does not end in an image format; allowed: {', '.join(SUFFIXES)}")
  path.parent.mkdir(parents=True, exist_ok=True)
  sheet = encode(contact_sheet(spec, **shape), path.suffix.lower())
  with files.replacing(path) as file:
    file.write(sheet)
  return path
