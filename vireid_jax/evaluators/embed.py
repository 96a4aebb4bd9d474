"""Features of a test set: every image once, in padded batches of one modality."""

import concurrent.futures
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from vireid_jax import mesh as mesh_lib
from vireid_jax.data import augment, cache
from vireid_jax.data.schema import MODALITIES
from vireid_jax.data.source import ImageSet
from vireid_jax.methods.base import Method, Variables


class Embedder:
  """Compiles a method's retrieval function once and applies it to image sets.

  Args:
    method: gives the feature.
    mesh: over which a batch is split.
    size: (height, width) of the network's input.
    resize: see `source.decode`.
    operations: the augmentation of training; of it only `normalize` is applied.
    batch: images per step, rounded up to a multiple of the devices.
  """

  def __init__(self, method: Method, mesh, *, size, resize: str, operations, batch: int):
    self._mesh, self._size, self._resize = mesh, size, resize
    self._batch = -(-batch // mesh.size) * mesh.size
    self._embed = {
      modality: _compile(method, modality, operations[modality], mesh) for modality in MODALITIES
    }

  def __call__(
    self, variables: Variables, images: ImageSet, *, progress: bool = False
  ) -> np.ndarray:
    """Returns the features of all images, float32 [n, d], in their order."""
    from tqdm import tqdm

    features = None
    with tqdm(total=len(images), desc="embed", unit="img", disable=None if progress else True) as bar:
      for modality, rows, pixels in self._batches(images):
        values = self._embed_batch(variables, MODALITIES[modality], pixels)[: len(rows)]
        if features is None:
          features = np.empty((len(images), values.shape[1]), np.float32)
        features[rows] = values
        bar.update(len(rows))
    return features

  def _batches(self, images: ImageSet) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields (modality, rows, uint8 images), the next batch being decoded meanwhile."""
    chunks = [
      (modality, rows[start : start + self._batch])
      for modality in range(len(MODALITIES))
      for rows in [np.flatnonzero(images.records.modality == modality)]
      for start in range(0, len(rows), self._batch)
    ]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
      pending = [pool.submit(self._decode, images, rows) for _, rows in chunks[:1]]
      for index, (modality, rows) in enumerate(chunks):
        pixels = pending.pop().result()
        if index + 1 < len(chunks):
          pending.append(pool.submit(self._decode, images, chunks[index + 1][1]))
        yield modality, rows, pixels

  def _decode(self, images: ImageSet, rows: np.ndarray) -> np.ndarray:
    part = ImageSet(images.records.take(rows), [images.encoded[row] for row in rows])
    return cache.fill(part, self._size, self._resize)

  def _embed_batch(self, variables: Variables, modality: str, pixels: np.ndarray) -> np.ndarray:
    padded = np.zeros((self._batch, *pixels.shape[1:]), np.uint8)
    padded[: len(pixels)] = pixels
    rows = mesh_lib.local_rows(self._batch, self._mesh)
    images = mesh_lib.to_global({"images": padded[rows]}, self._mesh)["images"]
    features = self._embed[modality](variables, images)
    if jax.process_count() > 1:
      return multihost_utils.process_allgather(features, tiled=True)
    return np.asarray(features)


def _compile(method: Method, modality: str, operations, mesh) -> Callable:
  kept = [text for text in operations if text.startswith("normalize")]
  prepare = augment.make_pipeline(kept)

  def embed(variables: Variables, images: jax.Array) -> jax.Array:
    # The key is unused: normalising is the same for every image.
    return method.embed(variables, prepare(jax.random.key(0), images), modality)

  return jax.jit(embed, out_shardings=mesh_lib.by_rows(mesh))
