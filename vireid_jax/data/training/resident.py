"""Training images on the devices: a step receives row numbers and gathers the pixels itself."""

import jax
import numpy as np
from jax import Array

from vireid_jax.common.records import MODALITIES, mask_name
from vireid_jax.common.types import Batch
from vireid_jax.data.training.sampler import BatchIndices
from vireid_jax.runtime import mesh as mesh_lib

Resident = dict[str, Array]


def place(images: np.ndarray, masks: np.ndarray | None, mesh) -> Resident:
  """Copies all images to every device.

  Args:
    images: uint8 [n, h, w, 3].
    masks: uint8 [n, h, w, 1], or None.
    mesh: Mesh of the devices.
  """
  arrays = {"images": images} | ({} if masks is None else {"masks": masks})
  sharding = mesh_lib.replicated(mesh)
  return {
    name: jax.make_array_from_process_local_data(sharding, array, array.shape)
    for name, array in arrays.items()
  }


def row_numbers(indices: BatchIndices, rows: slice) -> dict[str, np.ndarray]:
  """Returns what a step receives: int32 [b] per modality, and the batch's facts."""
  images = {name: getattr(indices, name)[rows] for name in MODALITIES}
  return {**images, **indices.facts(rows)}


def gather(batch: dict[str, Array], resident: Resident) -> Batch:
  """Replaces row numbers with pixels, inside the step; every device gathers its own rows."""
  full = {name: value for name, value in batch.items() if name not in MODALITIES}
  for name in MODALITIES:
    full[name] = _rows(resident["images"], batch[name])
    if "masks" in resident:
      full[mask_name(name)] = _rows(resident["masks"], batch[name])
  return full


def _rows(pixels: Array, rows: Array) -> Array:
  return pixels.at[rows].get(mode="promise_in_bounds")
