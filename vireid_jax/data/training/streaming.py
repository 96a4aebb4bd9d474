"""Training batches from disk, for data sets that do not fit into memory.

Threads read and decode the images a few batches ahead. The order is a pure function of the step, so
that resuming needs no saved position and skips nothing.
"""

import functools
import os
from collections.abc import Iterator

import numpy as np

from vireid_jax.common.records import MODALITIES, mask_name
from vireid_jax.data.prepared import cache
from vireid_jax.data.prepared.source import ImageSet

AHEAD = 2  # batches


class Stream:
  """Decodes pairs of training images on demand."""

  def __init__(self, images: ImageSet, size: tuple[int, int], resize: str, sampler):
    """Reads nothing yet.

    Args:
      images: Training images, on disk or in memory.
      size: (height, width) in pixels.
      resize: Resampling filter, see `source.decode`.
      sampler: Sampler of each step's indices.
    """
    self._images, self._size, self._resize = images, size, resize
    # Threads ask for the indices of a step many times, and for a few steps at once.
    self._indices = functools.lru_cache(maxsize=2 * AHEAD + 2)(sampler.batch)

  def batch(self, step: int, rows: slice) -> dict[str, np.ndarray]:
    """Reads the given rows of a step's global batch; see `pipeline.TrainData.batch`."""
    count = len(self._indices(step).label)
    return _stack([self._pair(step, row) for row in range(*rows.indices(count))])

  def batches(self, first: int, last: int, rows: slice) -> Iterator[dict[str, np.ndarray]]:
    """Yields the given rows of the batches of steps first to last (exclusive), reading ahead."""
    import grain

    start, stop, _ = rows.indices(len(self._indices(first).label))
    count = stop - start

    def load(index: int) -> dict[str, np.ndarray]:
      return self._pair(first + index // count, start + index % count)

    options = grain.ReadOptions(num_threads=threads(), prefetch_buffer_size=AHEAD * count)
    pairs = grain.MapDataset.range((last - first) * count).map(load)
    return iter(pairs.to_iter_dataset(options).batch(count, batch_fn=_stack))

  def _pair(self, step: int, row: int) -> dict[str, np.ndarray]:
    indices = self._indices(step)
    pair = indices.facts(row)
    for modality in MODALITIES:
      one = self._images.take(np.array([getattr(indices, modality)[row]]))
      pair[modality] = cache.decode_row(one, 0, self._size, self._resize)
      if one.masks is not None:
        pair[mask_name(modality)] = cache.decode_mask(one.masks[0], self._size)
    return pair


def threads() -> int:
  """Returns the number of reading threads: two per core, as waiting for a disk keeps none busy."""
  return 2 * (os.cpu_count() or 1)


def _stack(pairs: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
  return {name: np.stack([pair[name] for pair in pairs]) for name in pairs[0]}
