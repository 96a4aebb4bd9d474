"""Opening an export as a network: the same features from `card.json` and the files beside it."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from vireid_jax.common.errors import UserError, printable
from vireid_jax.retrieval.card import CARD, FORMAT
from vireid_jax.retrieval.export_reader import Retrieval


@dataclasses.dataclass(frozen=True)
class Exported:
  """A folder that `python -m vireid_jax.export` wrote, ready to be used.

  Attributes:
    folder: where it was read.
    retrieval: the functions and their card.
  """

  folder: pathlib.Path
  retrieval: Retrieval

  @property
  def step(self) -> int:
    """Of the checkpoint that was exported."""
    return self.retrieval.card["step"]

  @property
  def image_size(self) -> tuple[int, int]:
    """(height, width) of the network's input."""
    return tuple(self.retrieval.card["image_size"])

  @property
  def resize(self) -> str:
    """The filter that pictures are resized by; see `data.prepared.source.decode`."""
    return self.retrieval.card["resize"]

  @property
  def method_name(self) -> str:
    """The method's name."""
    return self.retrieval.card["method"]

  @property
  def trained_on(self) -> str:
    """The data set's name."""
    return self.retrieval.card["trained_on"]

  @property
  def feature(self) -> str:
    """Which of the method's features this is."""
    return self.retrieval.card["feature"]

  @property
  def feature_size(self) -> int:
    """Dimensions of a feature."""
    return self.retrieval.card["feature_size"]

  @property
  def has_unit_length(self) -> bool:
    """Whether the exported functions scale features to unit length."""
    return self.retrieval.card["unit_length"]

  def feature_function(self, batch: int) -> Callable[[np.ndarray, str], np.ndarray]:
    """Returns (uint8 [b, h, w, 3], modality) -> float32 [b, d] for b up to `batch`."""

    def embed(pixels: np.ndarray, modality: str) -> np.ndarray:
      missing = batch - len(pixels)
      padded = np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0)))
      return self.retrieval.embed(padded, modality)[: len(pixels)]

    return embed

  def fingerprint(self) -> str:
    """Returns a text that changes with the export: its numbers differ by rounding from a run's."""
    return f"exported-{self.retrieval.card['fingerprint']}"


def is_export(folder: pathlib.Path) -> bool:
  """Says whether a folder looks like an export."""
  return (folder / CARD).is_file()


def open_export(folder: pathlib.Path, *, step: int | None, normalize: bool) -> Exported:
  """Reads an export; its code is not run, and the network's package is not needed.

  Args:
    folder: that `python -m vireid_jax.export` wrote.
    step: refused where the export is of another one; None for any.
    normalize: False is refused where the export has features of unit length only.

  Raises:
    UserError: a file is damaged or of another export, or the export has no such features.
  """
  try:
    exported = Exported(folder, Retrieval(folder))
    form, found = exported.retrieval.card["format"], exported.step
  except Exception as error:  # of JSON, zip files, or the deserialiser
    reason = printable(" ".join(str(error).split()))[:300]
    raise UserError(f"{folder} is not a whole export: {reason}; export again") from error
  if form != FORMAT:
    raise UserError(f"{folder} is an export of format {form}, this version reads {FORMAT}")
  if step not in (None, found):
    raise UserError(f"{folder} is an export of step {found}, not {step}; leave the step out")
  if exported.has_unit_length and not normalize:
    raise UserError(
      f"{folder} gives features of unit length only; export again with --raw, or leave "
      "normalize=False out"
    )
  return exported
