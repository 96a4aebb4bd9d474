"""Opens an export in place of a checkpoint."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from vireid_jax.common import bucket_cache
from vireid_jax.common.errors import UserError, printable
from vireid_jax.retrieval.card import CARD, FORMAT
from vireid_jax.retrieval.export_reader import Retrieval


@dataclasses.dataclass(frozen=True)
class Exported:
  """An export, ready for use.

  Attributes:
    folder: Folder of the export.
    retrieval: Exported functions and their card.
    step: Step of the exported checkpoint.
    image_size: (height, width) of the network's input.
    resize: Filter for resizing, as in `data.prepared.source.decode`.
    method_name: Name of the method.
    trained_on: Name of the data set.
    feature: Name of the feature.
    feature_size: Number of dimensions of a feature.
    has_unit_length: Whether the exported functions scale features to unit length.
  """

  folder: pathlib.Path
  retrieval: Retrieval
  step: int
  image_size: tuple[int, int]
  resize: str
  method_name: str
  trained_on: str
  feature: str
  feature_size: int
  has_unit_length: bool

  def feature_function(self, batch: int) -> Callable[[np.ndarray, str], np.ndarray]:
    """Returns (uint8 [b, h, w, 3], modality) -> float32 [b, d] for b up to `batch`."""

    def embed(pixels: np.ndarray, modality: str) -> np.ndarray:
      missing = batch - len(pixels)
      padded = np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0)))
      return self.retrieval.embed(padded, modality)[: len(pixels)]

    return embed

  def fingerprint(self) -> str:
    """Returns a text that changes with the export, and differs from the checkpoint's own."""
    return f"exported-{self.retrieval.card['fingerprint']}"


def is_export(folder: pathlib.Path) -> bool:
  """Returns whether a folder looks like an export."""
  return (folder / CARD).is_file()


def open_export(folder: pathlib.Path, *, step: int | None, normalize: bool) -> Exported:
  """Reads an export, without running its code.

  Args:
    folder: Folder written by `python -m vireid_jax.export`.
    step: Required step of the export; None for any.
    normalize: Whether features of unit length suffice; otherwise the export must have raw ones.

  Raises:
    UserError: A file is damaged or belongs to another export, or the step or features differ.
  """
  with _refusing_damage(folder):
    retrieval = Retrieval(bucket_cache.local(folder))
    form = retrieval.card["format"]
  if form != FORMAT:
    raise UserError(
      f"{folder} is an export of format {form}, but this version reads {FORMAT}; export again"
    )
  with _refusing_damage(folder):
    exported = _read_card(folder, retrieval)
  if step not in (None, exported.step):
    raise UserError(f"{folder} is an export of step {exported.step}, not {step}; omit the step")
  if exported.has_unit_length and not normalize:
    raise UserError(
      f"{folder} gives only features of unit length; export again with --raw, or omit "
      "normalize=False"
    )
  return exported


@contextlib.contextmanager
def _refusing_damage(folder: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except Exception as error:  # from JSON, zip files, or the deserialiser
    reason = printable(" ".join(str(error).split()))[:300]
    raise UserError(f"{folder} is not a complete export: {reason}; export again") from error


def _read_card(folder: pathlib.Path, retrieval: Retrieval) -> Exported:
  card = retrieval.card
  same = ("step", "resize", "trained_on", "feature", "feature_size")
  return Exported(
    folder,
    retrieval,
    image_size=tuple(card["image_size"]),
    method_name=card["method"],
    has_unit_length=card["unit_length"],
    **{name: card[name] for name in same},
  )
