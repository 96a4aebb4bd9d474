"""What the package knows about one image besides its pixels."""

import dataclasses

import numpy as np

VISIBLE, INFRARED = 0, 1
MODALITIES = ("visible", "infrared")
SECOND_VIEW = "visible_2"  # of a batch: the visible images, augmented a second time


def mask_name(modality: str) -> str:
  """Returns under which name a batch holds the masks of a modality's images."""
  return f"{modality}_mask"


@dataclasses.dataclass(frozen=True)
class Records:
  """Columns over the n images of a split, in storage order.

  Attributes:
    identity: int32 [n], the data set owner's identity number.
    camera: int32 [n], the owner's camera number, from 1.
    modality: int32 [n], `VISIBLE` or `INFRARED`.
    name: str array [n], file name relative to the data set's root, with forward slashes.
  """

  identity: np.ndarray
  camera: np.ndarray
  modality: np.ndarray
  name: np.ndarray

  def __post_init__(self):
    for field in ("identity", "camera", "modality"):
      object.__setattr__(self, field, np.asarray(getattr(self, field), np.int32))
    object.__setattr__(self, "name", np.asarray(self.name, dtype=np.str_))
    lengths = {field.name: len(getattr(self, field.name)) for field in dataclasses.fields(self)}
    if len(set(lengths.values())) > 1:
      raise ValueError(f"columns of different length: {lengths}")

  def __len__(self) -> int:
    return len(self.identity)

  def take(self, indices: np.ndarray) -> "Records":
    """Returns the rows at `indices` (int [m]) or where a bool mask [n] is true."""
    return Records(
      **{field.name: getattr(self, field.name)[indices] for field in dataclasses.fields(self)}
    )

  def identities(self) -> np.ndarray:
    """Returns the distinct identity numbers, sorted, int32."""
    return np.unique(self.identity)
