"""Features of a test set: each image is embedded once, in padded batches of one modality."""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from vireid_jax.common import progress
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.common.types import Variables
from vireid_jax.data.prepared import cache
from vireid_jax.data.prepared.source import ImageSet
from vireid_jax.data.training import augment
from vireid_jax.losses.distance import unit
from vireid_jax.methods.base import Method
from vireid_jax.runtime import compilation, platform
from vireid_jax.runtime import mesh as mesh_lib

# Images embedded at once on a CPU; see `_in_pieces`.
PIECE = 4

Features = dict[str, np.ndarray]  # name of the feature -> float32 [n, d]


class Embedder:
  """Compiles a method's retrieval functions once and applies them to image sets.

  Args:
    methods: Method for each feature, by name, from `feature_methods`. All read the same variables,
      and the compiler merges what their networks share.
    mesh: Devices over which a batch is split.
    size: (height, width) of the network's input.
    resize: Filter for resizing, as in `source.decode`.
    operations: Training augmentation by modality; only its `normalize` is applied.
    batch: Number of images per step, rounded up to a multiple of the number of devices.
    flip: Whether to average the L2-normalised features of an image and its mirror image; the mean
      is L2-normalised again.
  """

  def __init__(
    self,
    methods: dict[str, Method],
    mesh,
    *,
    size,
    resize: str,
    operations,
    batch: int,
    flip: bool = False,
  ):
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
      raise UserError(f"the batch of an evaluation is {batch!r}; it must be a whole number from 1")
    self._mesh, self._size, self._resize = mesh, size, resize
    self._batch = -(-batch // mesh.size) * mesh.size
    self._mine = mesh_lib.local_rows(self._batch, mesh)
    self._embed = {
      modality: jitted(methods, modality, operations[modality], mesh, flip=flip)
      for modality in MODALITIES
    }

  def __call__(self, variables: Variables, images: ImageSet, *, change=None) -> Features:
    """Embeds every image once.

    Args:
      variables: Variables of the method.
      images: Images to embed.
      change: Function to apply to each decoded image, as in `cache.fill`.

    Returns:
      float32 [n, d] for each feature, in the order of the images.
    """
    features = {}
    with progress.part("embedding", len(images), "img") as activity:
      for modality, rows, pixels in self._batches(images, change):
        batch = self.embed_pixels(variables, MODALITIES[modality], pixels)
        for name, values in batch.items():
          whole = features.setdefault(name, np.empty((len(images), values.shape[1]), np.float32))
          whole[rows] = values[: len(rows)]
        activity.advance(len(rows))
    return features

  def _batches(self, images: ImageSet, change) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields (modality, rows, uint8 images of this process), decoding one batch ahead."""
    chunks = [
      (modality, rows[start : start + self._batch])
      for modality in range(len(MODALITIES))
      for rows in [np.flatnonzero(images.records.modality == modality)]
      for start in range(0, len(rows), self._batch)
    ]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
      pending = [pool.submit(self._decode, images, rows, change) for _, rows in chunks[:1]]
      for index, (modality, rows) in enumerate(chunks):
        pixels = pending.pop().result()
        if index + 1 < len(chunks):
          pending.append(pool.submit(self._decode, images, chunks[index + 1][1], change))
        yield modality, rows, pixels

  def _decode(self, images: ImageSet, rows: np.ndarray, change) -> np.ndarray:
    """Decodes this process's share of a batch."""
    return cache.fill(images.take(rows[self._mine]), self._size, self._resize, change=change)

  def embed_pixels(self, variables: Variables, modality: str, pixels: np.ndarray) -> Features:
    """Embeds one batch, padded to the compiled size.

    Args:
      variables: Variables of the method.
      modality: 'visible' or 'infrared'.
      pixels: uint8 [m, height, width, 3], this process's share of at most `batch` images.

    Returns:
      float32 [batch, d] for each feature; rows from m on are padding.
    """
    padded = np.zeros((self._mine.stop - self._mine.start, *pixels.shape[1:]), np.uint8)
    padded[: len(pixels)] = pixels
    images = mesh_lib.to_global({"images": padded}, self._mesh)["images"]
    features = self._embed[modality](variables, images)
    if jax.process_count() > 1:
      return multihost_utils.process_allgather(features, tiled=True)
    return jax.tree.map(np.asarray, features)


def feature_methods(method: Method, names) -> dict[str, Method]:
  """Returns a copy of the method for each requested feature.

  Args:
    method: Method, with a field `feature` if it has more than one.
    names: Values of that field; empty for the method's own setting.

  Raises:
    UserError: The method has only one feature, or not this one.
  """
  names = (names,) if isinstance(names, str) and names else tuple(names)
  if not names:
    return {getattr(method, "feature", "feature"): method}
  if len(set(names)) < len(names):
    raise UserError(f"config.eval.features = {names!r} names a feature twice; name each once")
  if "feature" not in {field.name for field in dataclasses.fields(method)}:
    raise UserError(
      f"config.eval.features = {names!r}, but {type(method).__name__} has one feature only; "
      "leave it empty"
    )
  return {name: dataclasses.replace(method, feature=name) for name in names}


def retrieval_function(
  methods: dict[str, Method], modality: str, operations, *, flip: bool = False
) -> Callable[[Variables, jax.Array], dict[str, jax.Array]]:
  """Returns the pure function from uint8 images of one modality to features.

  Args:
    methods: Method for each feature, by name, as in `Embedder`.
    modality: 'visible' or 'infrared'.
    operations: Training augmentation of the modality.
    flip: Whether to average with the mirror image, as in `Embedder`.

  Returns:
    (variables, uint8 [n, h, w, 3]) -> float32 [n, d] for each feature; n may be symbolic.
  """
  normalize = augment.make_normalizer(operations)

  def embed(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
    images = normalize(images)
    features = {name: each.embed(variables, images, modality) for name, each in methods.items()}
    if not flip:
      return features
    return {
      name: unit(unit(features[name]) + unit(each.embed(variables, images[:, :, ::-1], modality)))
      for name, each in methods.items()
    }

  return embed


def jitted(
  methods: dict[str, Method], modality: str, operations, mesh, *, flip: bool = False
) -> Callable[[Variables, jax.Array], dict[str, jax.Array]]:
  """Returns `retrieval_function` under jit, as in evaluation; features are sharded by rows."""
  whole = retrieval_function(methods, modality, operations, flip=flip)
  pieces = _in_pieces(whole)

  def embed(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
    return (pieces if goes_in_pieces(len(images), mesh) else whole)(variables, images)

  options = compilation.forward_options()
  return jax.jit(embed, out_shardings=mesh_lib.by_rows(mesh), compiler_options=options)


def goes_in_pieces(count: int, mesh) -> bool:
  """Returns whether a batch of this size is embedded a few images at a time, as on one CPU."""
  return platform.is_cpu() and mesh.size == 1 and count % PIECE == 0


def _in_pieces(embed: Callable) -> Callable:
  """Embeds a few images at a time, so that their maps stay in the CPU's cache between layers.

  In evaluation mode an image's feature does not depend on the others, so the result is the same.
  """

  def embed_pieces(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
    pieces = images.reshape(-1, PIECE, *images.shape[1:])
    features = jax.lax.map(lambda piece: embed(variables, piece), pieces)
    return jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), features)

  return embed_pieces
