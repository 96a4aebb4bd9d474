"""Opening an export as a network: the same features from `card.json` and the files beside it."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator

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
    step: of the checkpoint that was exported.
    image_size: (height, width) of the network's input.
    resize: the filter that pictures are resized by; see `data.prepared.source.decode`.
    method_name: the method's name.
    trained_on: the data set's name.
    feature: which of the method's features this is.
    feature_size: dimensions of a feature.
    has_unit_length: whether the exported functions scale features to unit length.
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
  with _refusing_damage(folder):
    retrieval = Retrieval(folder)
    form = retrieval.card["format"]
  if form != FORMAT:
    raise UserError(f"{folder} is an export of format {form}, this version reads {FORMAT}")
  with _refusing_damage(folder):
    exported = _read_card(folder, retrieval)
  if step not in (None, exported.step):
    raise UserError(
      f"{folder} is an export of step {exported.step}, not {step}; leave the step out"
    )
  if exported.has_unit_length and not normalize:
    raise UserError(
      f"{folder} gives features of unit length only; export again with --raw, or leave "
      "normalize=False out"
    )
  return exported


@contextlib.contextmanager
def _refusing_damage(folder: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except Exception as error:  # of JSON, zip files, or the deserialiser
    reason = printable(" ".join(str(error).split()))[:300]
    raise UserError(f"{folder} is not a whole export: {reason}; export again") from error


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
