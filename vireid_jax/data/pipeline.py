"""Training batches: sampled, gathered and moved to the devices ahead of their use."""

import collections
import concurrent.futures
from collections.abc import Iterator

import jax
import numpy as np

from vireid_jax import mesh as mesh_lib
from vireid_jax.data import cache, sampler
from vireid_jax.data.schema import INFRARED, VISIBLE, Records, mask_name
from vireid_jax.data.source import ImageSet

AHEAD = 2


class TrainData:
  """The training images in memory and the order in which they are seen.

  Attributes:
    identities: int32 [c], the owner's identity number of each contiguous label.
    records: of the training images.
    sampler: gives the indices of each step.
  """

  def __init__(self, images: ImageSet, *, size, resize: str, seed: int, sampler_config, progress):
    index = sampler.IdentityIndex(images.records)
    self.identities = index.identities
    self.records = images.records
    self.sampler = sampler.create(seed=seed, index=index, **sampler_config)
    self._images = cache.fill(images, size, resize, progress=progress)
    has_masks = images.masks is not None
    self._masks = cache.fill_masks(images, size, progress=progress) if has_masks else None

  @property
  def steps_per_epoch(self) -> int:
    """Training steps in an epoch."""
    return self.sampler.steps_per_epoch

  def batch(self, step: int, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    """Gathers some rows of the global batch of a step.

    Returns:
      'visible' and 'infrared' uint8 [b, h, w, 3], 'label' int32 [b]; and, of images that came with
      masks, 'visible_mask' and 'infrared_mask' uint8 [b, h, w, 1].
    """
    indices = self.sampler.batch(step)
    chosen = {"visible": indices.visible[rows], "infrared": indices.infrared[rows]}
    batch = {name: self._images[index] for name, index in chosen.items()}
    if self._masks is not None:
      batch |= {mask_name(name): self._masks[index] for name, index in chosen.items()}
    return {**batch, "label": indices.label[rows]}

  def batches(self, first: int, last: int, mesh) -> Iterator[dict[str, jax.Array]]:
    """Yields the global batches of steps first to last (exclusive), a few prepared ahead."""
    pairs = len(self.sampler.batch(first).label) if first < last else 0
    rows = mesh_lib.local_rows(pairs, mesh)

    def load(step: int) -> dict[str, jax.Array]:
      return mesh_lib.to_global(self.batch(step, rows), mesh)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
      waiting = collections.deque()
      for step in range(first, last):
        waiting.append(pool.submit(load, step))
        if len(waiting) > AHEAD:
          yield waiting.popleft().result()
      while waiting:
        yield waiting.popleft().result()


def drop_unpaired(images: ImageSet) -> ImageSet:
  """Leaves out the images of identities that were seen in one modality only."""
  keep = np.flatnonzero(np.isin(images.records.identity, _paired(images.records)))
  return images.take(keep)


def _paired(records: Records) -> np.ndarray:
  seen = [np.unique(records.identity[records.modality == m]) for m in (VISIBLE, INFRARED)]
  return np.intersect1d(*seen)
