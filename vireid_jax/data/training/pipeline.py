"""Training batches: sampled, gathered and moved to the devices ahead of use."""

import collections
import concurrent.futures
from collections.abc import Iterator

import jax
import numpy as np

from vireid_jax.common.records import INFRARED, VISIBLE, Records, mask_name
from vireid_jax.common.types import Batch
from vireid_jax.data.prepared import cache
from vireid_jax.data.prepared.source import ImageSet
from vireid_jax.data.training import resident, sampler, streaming
from vireid_jax.data.training.placement import DEVICE, HOST, STREAM
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.runtime import platform

AHEAD = 2


class TrainData:
  """The training images and the order in which batches use them.

  Attributes:
    identities: int32 [c], published identity number of each contiguous label.
    records: Records of the training images.
    sampler: Sampler of each step's indices.
    placement: Where the images are kept; batches do not depend on it.
    fingerprint: Fingerprint of images and records; None for images that were never stored.
  """

  def __init__(
    self,
    images: ImageSet,
    *,
    size,
    resize: str,
    seed: int,
    sampler_config,
    placement: str = HOST,
  ):
    index = sampler.IdentityIndex(images.records)
    self.identities = index.identities
    self.records = images.records
    self.sampler = sampler.create(seed=seed, index=index, **sampler_config)
    self.placement = placement
    self.fingerprint = None if images.checksums is None else images.fingerprint()
    self._images = self._masks = self._stream = None
    if placement == STREAM:
      self._stream = streaming.Stream(images, size, resize, self.sampler)
    else:
      self._images = cache.fill(images, size, resize)
      has_masks = images.masks is not None
      self._masks = cache.fill_masks(images, size) if has_masks else None

  @property
  def steps_per_epoch(self) -> int:
    """Training steps in an epoch."""
    return self.sampler.steps_per_epoch

  def batch(self, step: int, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    """Gathers the given rows of a step's global batch.

    Returns:
      'visible' and 'infrared' uint8 [b, h, w, 3], 'label' int32 [b]; for a sampler that draws
      regardless of modality, 'modality' int32 [b, 2]; and, for images with masks, 'visible_mask'
      and 'infrared_mask' uint8 [b, h, w, 1].
    """
    if self._stream:
      return self._stream.batch(step, rows)
    indices = self.sampler.batch(step)
    chosen = {"visible": indices.visible[rows], "infrared": indices.infrared[rows]}
    batch = {name: self._images[index] for name, index in chosen.items()}
    if self._masks is not None:
      batch |= {mask_name(name): self._masks[index] for name, index in chosen.items()}
    return {**batch, **indices.facts(rows)}

  def place(self, mesh) -> tuple[resident.Resident, ...]:
    """Returns a step's arguments besides its batch: the images, if the devices keep them."""
    if self.placement != DEVICE:
      return ()
    placed = resident.place(self._images, self._masks, mesh)
    if not platform.is_cpu():
      self._images = self._masks = None
    return (placed,)

  def complete(self, batch: dict[str, jax.Array], *placed: resident.Resident) -> Batch:
    """Makes the batch from what `batches` yields and `place` returned; called inside the step."""
    return resident.gather(batch, *placed) if placed else batch

  def batches(self, first: int, last: int, mesh) -> Iterator[dict[str, jax.Array]]:
    """Yields the global batches of steps first to last (exclusive), loading a few ahead.

    If the devices keep the images, batches have row numbers in place of pixels; see `complete`.
    """
    pairs = len(self.sampler.batch(first).label) if first < last else 0
    rows = mesh_lib.local_rows(pairs, mesh)
    streamed = self._stream.batches(first, last, rows) if self._stream and pairs else None

    def load(step: int) -> dict[str, jax.Array]:
      if streamed is not None:
        local = next(streamed)
      elif self.placement == DEVICE:
        local = resident.row_numbers(self.sampler.batch(step), rows)
      else:
        local = self.batch(step, rows)
      return mesh_lib.to_global(local, mesh)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
      waiting = collections.deque()
      for step in range(first, last):
        waiting.append(pool.submit(load, step))
        if len(waiting) > AHEAD:
          yield waiting.popleft().result()
      while waiting:
        yield waiting.popleft().result()


def drop_unpaired(images: ImageSet) -> ImageSet:
  """Leaves out the images of identities that were seen in only one modality."""
  keep = np.flatnonzero(np.isin(images.records.identity, _paired(images.records)))
  return images.take(keep)


def _paired(records: Records) -> np.ndarray:
  seen = [np.unique(records.identity[records.modality == m]) for m in (VISIBLE, INFRARED)]
  return np.intersect1d(*seen)
