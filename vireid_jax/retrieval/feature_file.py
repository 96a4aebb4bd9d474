"""Files of features as galleries: the features stay on disk, whatever their size."""

import json
import os
import pathlib
import struct
import zipfile

import numpy as np

from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files
from vireid_jax.retrieval.model import Embedded, Model

SUFFIX = ".npz"
_LOCAL_HEADER = 30  # bytes of a zip member's header before its name and extra field


def is_features(place: str | os.PathLike) -> bool:
  """Returns whether a gallery is a file of features and not a folder or picture."""
  path = regular_files.expanded(place)
  return path.suffix.lower() == SUFFIX and regular_files.is_regular(path)


def open_features(
  place: str | os.PathLike, model: Model, modality: str
) -> tuple[Embedded, pathlib.Path]:
  """Opens a file written by `python -m vireid_jax.embed`.

  Args:
    place: Path of the file.
    model: Model that embeds the queries.
    modality: Modality of the gallery.

  Returns:
    Names, mapped features and skipped files; and the folder of the pictures.

  Raises:
    UserError: It is damaged, or of another checkpoint or modality.
  """
  path = regular_files.expanded(place)
  shown = printable(str(path))
  try:
    features = mapped(path)
    with np.load(path) as arrays:
      names, skipped, facts = (arrays[name] for name in ("names", "skipped", "facts"))
    known, reasons = json.loads(str(facts)), json.loads(str(skipped))
    fingerprint, stored = known["fingerprint"], known["modality"]
    root = pathlib.Path(known.get("images", path.parent))
  except (OSError, ValueError, KeyError, zipfile.BadZipFile, struct.error) as error:
    raise UserError(f"{shown} is not a complete file of features ({error}); embed again") from error
  if len(names) != len(features):
    raise UserError(f"{shown} has {len(names)} names and {len(features)} features; embed again")
  if fingerprint != model.fingerprint():
    raise UserError(
      f"{shown} is of another checkpoint, step or setting than --checkpoint; search with "
      f"{printable(str(known.get('checkpoint')))}, or embed again"
    )
  if stored != modality:
    raise UserError(f"{shown} holds {stored} pictures; give --gallery_modality {stored}")
  return Embedded([str(name) for name in names], features, reasons), root


def mapped(path: pathlib.Path) -> np.memmap:
  """Maps the features of a file without reading them.

  Raises:
    ValueError: They are compressed, or not float32 [n, d].
    OSError, KeyError, zipfile.BadZipFile: The file is damaged.
  """
  with zipfile.ZipFile(path) as members:
    member = members.getinfo("features.npy")
  if member.compress_type != zipfile.ZIP_STORED:
    raise ValueError("its features are compressed")
  with path.open("rb") as file:
    file.seek(member.header_offset)
    sizes = struct.unpack("<HH", file.read(_LOCAL_HEADER)[-4:])
    file.seek(sum(sizes), os.SEEK_CUR)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    start = file.tell()
  if len(shape) != 2 or dtype != np.float32 or not all(shape):
    raise ValueError(f"its features are {dtype} {shape}")
  return np.memmap(path, dtype, "r", start, shape)
