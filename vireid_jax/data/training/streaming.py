"""Training batches from disk, for data sets that do not fit into memory.

Every image is read from its ArrayRecord file and decoded when a batch needs it, by threads, a few
batches ahead. The order is a pure function of the step, so that nothing has to be saved or skipped
to continue.
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
      images: on disk, or in memory.
      size: (height, width).
      resize: see `source.decode`.
      sampler: gives the indices of each step.
    """
    self._images, self._size, self._resize = images, size, resize
    # Threads ask for the rows of one step many times, and for those of a few steps at once.
    self._indices = functools.lru_cache(maxsize=2 * AHEAD + 2)(sampler.batch)

  def batch(self, step: int, rows: slice) -> dict[str, np.ndarray]:
    """Reads some rows of the global batch of a step; see `pipeline.TrainData.batch`."""
    count = len(self._indices(step).label)
    return _stack([self._pair(step, row) for row in range(*rows.indices(count))])

  def batches(self, first: int, last: int, rows: slice) -> Iterator[dict[str, np.ndarray]]:
    """Yields those rows of the batches of steps first to last (exclusive), reading ahead."""
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
    pair = {"label": indices.label[row]}
    for modality in MODALITIES:
      one = self._images.take(np.array([getattr(indices, modality)[row]]))
      pair[modality] = cache.decode_row(one, 0, self._size, self._resize)
      if one.masks is not None:
        pair[mask_name(modality)] = cache.decode_mask(one.masks[0], self._size)
    return pair


def threads() -> int:
  """Returns how many threads read: decoding keeps a core busy, and waiting for a disk does not."""
  return 2 * (os.cpu_count() or 1)


def _stack(pairs: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
  return {name: np.stack([pair[name] for pair in pairs]) for name in pairs[0]}
