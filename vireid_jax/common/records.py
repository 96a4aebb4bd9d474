"""Identity, camera, modality and file name of each image."""

import dataclasses

import numpy as np

VISIBLE, INFRARED = 0, 1
MODALITIES = ("visible", "infrared")
SECOND_VIEW = "visible_2"  # batch key: the visible images, augmented a second time


def mask_name(modality: str) -> str:
  """Returns the batch key of a modality's masks."""
  return f"{modality}_mask"


@dataclasses.dataclass(frozen=True)
class Records:
  """A split's n images, one array per column, in storage order.

  Attributes:
    identity: int32 [n], identity numbers as published.
    camera: int32 [n], camera numbers as published, from 1.
    modality: int32 [n], `VISIBLE` or `INFRARED`.
    name: str [n], file names relative to the data set's root, with forward slashes.
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
      raise ValueError(f"columns differ in length: {lengths}")

  def __len__(self) -> int:
    return len(self.identity)

  def take(self, indices: np.ndarray) -> "Records":
    """Returns the rows selected by `indices`, int [m] or bool [n]."""
    return Records(
      **{field.name: getattr(self, field.name)[indices] for field in dataclasses.fields(self)}
    )

  def identities(self) -> np.ndarray:
    """Returns the distinct identity numbers, sorted, int32."""
    return np.unique(self.identity)
