"""Indexes of the faiss library: built block by block, kept in files, asked for candidates."""

import dataclasses
import math
import os
import pathlib

import numpy as np

from vireid_jax.common import files, progress
from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.retrieval import searcher, streamed
from vireid_jax.retrieval.engine_names import FLAT, HNSW, IVFPQ, ON_DISK

# Largest gallery of each kind where the choice is automatic; see docs/large_galleries.md.
LARGEST = {FLAT: 50_000, HNSW: 2_000_000, IVFPQ: 20_000_000}
SUFFIX = ".faiss"
DIMENSIONS = 256  # kept by a principal component analysis
LEAST = 1000  # pictures from which principal components are computed
CODED = 4  # dimensions in a byte of a code
CENTRES = 256  # of each byte of a code
ROWS_PER_CENTRE = 64  # of the training rows
ROUNDS = 10  # of k-means; more cost minutes and change recall little
PROBES = 256  # lists of an IVF that a query reads; 64 of 2048 find 88 % of the nearest
EFFORT = 512  # candidates that HNSW keeps while it walks
TRAINING_ROWS = 100_000
ROWS_PER_LIST = 40  # of the training rows; faiss asks for 39


@dataclasses.dataclass(frozen=True)
class FaissIndex:
  """An index.

  Attributes:
    index: Index of faiss, on squared Euclidean distances.
    kind: One of `engine_names.KINDS`.
  """

  index: object
  kind: str

  def __len__(self) -> int:
    return self.index.ntotal

  def candidates(
    self, queries: np.ndarray, count: int, allowed: np.ndarray | None = None
  ) -> np.ndarray:
    """Returns the rows of the nearest features, about in order; -1 at the end of short lists.

    Args:
      queries: float32 [q, d].
      count: Number of candidates of each query.
      allowed: bool [n], rows that may be found; None for all.
    """
    return self.index.search(queries, count, params=self._parameters(count, allowed))[1]

  def _parameters(self, count: int, allowed: np.ndarray | None):
    faiss = library()
    bits = None if allowed is None else np.packbits(allowed, bitorder="little")
    some = {} if bits is None else {"sel": faiss.IDSelectorBitmap(bits)}
    if self.kind == FLAT:
      return faiss.SearchParameters(**some)
    if self.kind == HNSW:
      inner = faiss.SearchParametersHNSW(efSearch=max(EFFORT, count), **some)
    else:
      inner = faiss.SearchParametersIVF(nprobe=PROBES, **some)
    return faiss.SearchParametersPreTransform(index_params=inner)


def library():
  """Imports faiss.

  Raises:
    UserError: It is not installed.
  """
  try:
    import faiss
  except ModuleNotFoundError as error:
    if error.name != "faiss":
      raise
    raise UserError(
      "--engine faiss needs faiss: pip install 'vireid_jax[faiss]' (in a checkout pip install -e "
      "'.[faiss]'); or use --engine exact"
    ) from None
  return faiss


def kind_for(count: int) -> str:
  """Returns the kind of index for a number of pictures."""
  return next((kind for kind, largest in LARGEST.items() if count <= largest), ON_DISK)


def description(kind: str, count: int, dimensions: int) -> str:
  """Returns the description of an index for `faiss.index_factory`.

  Args:
    kind: One of `engine_names.KINDS`.
    count: Number of pictures.
    dimensions: Dimensions of a feature.

  Raises:
    UserError: There are too few pictures for this kind.
  """
  if kind == FLAT:
    return "SQfp16"
  # Rotating spreads the variance over all dimensions, which codes of one size need.
  kept = min(DIMENSIONS, dimensions) if count >= LEAST else dimensions
  start = f"PCAR{kept}" if count >= LEAST else f"RR{kept}"
  if kind == HNSW:
    return f"{start},HNSW32_SQ8"
  if count < CENTRES:
    raise UserError(
      f"--faiss {kind} needs at least {CENTRES} pictures, and the gallery has {count}; use "
      f"--faiss {FLAT}"
    )
  return (
    f"{start},IVF{list_count(count)},PQ{_code_bytes(kept)}np"  # np: no costly ordering of codes
  )


def _code_bytes(dimensions: int) -> int:
  """Returns the bytes of a code, each of which stands for equally many dimensions."""
  most = max(dimensions // CODED, 1)
  return next(size for size in range(most, 0, -1) if dimensions % size == 0)


def list_count(count: int) -> int:
  """Returns the number of lists of an IVF: a power of two, about four times the square root."""
  most = max(count // ROWS_PER_LIST, 1)
  return 1 << (min(4 * math.isqrt(count), most).bit_length() - 1)


def build(features: np.ndarray, kind: str, *, normalize: bool) -> FaissIndex:
  """Builds an index; features on disk are read in blocks.

  Args:
    features: float [n, d].
    kind: One of `engine_names.KINDS`.
    normalize: Whether to scale features to unit length first.

  Raises:
    UserError: faiss is not installed, a feature is not finite, or there are too few pictures for
      this kind.
  """
  faiss = library()
  count, dimensions = features.shape
  # Unit vectors are in the same order by distance as by cosine, also after a projection.
  index = faiss.index_factory(dimensions, description(kind, count, dimensions), faiss.METRIC_L2)
  if not index.is_trained:
    with progress.part("training the index"):
      _limit_training(faiss, index)
      index.train(_sample(features, list_count(count), normalize=normalize))
  with progress.part("building the index", count, "picture") as activity:
    for _, block in streamed.blocks(features, normalize=normalize):
      index.add(block)
      activity.advance(len(block))
  return FaissIndex(index, kind)


def _limit_training(faiss, index) -> None:
  """Limits the training's rounds and rows, and accepts few rows without a warning."""
  inner = faiss.downcast_index(index.index)
  for part in (inner, getattr(inner, "pq", None)):
    if hasattr(part, "cp"):
      part.cp.niter, part.cp.min_points_per_centroid = ROUNDS, 1
      part.cp.max_points_per_centroid = ROWS_PER_CENTRE


def _sample(features: np.ndarray, lists: int, *, normalize: bool) -> np.ndarray:
  """Returns evenly spaced features as float32, scaled to unit length if `normalize`."""
  count = min(len(features), max(TRAINING_ROWS, ROWS_PER_LIST * lists))
  rows = np.linspace(0, len(features) - 1, count).astype(np.int64)
  sample = searcher.checked(features[rows], "gallery")
  return l2_normalize(sample) if normalize else sample


def save(index: FaissIndex, path: pathlib.Path) -> None:
  """Writes an index atomically.

  Raises:
    UserError: It cannot be written.
  """
  faiss = library()
  with files.writing(path, "--index"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as file:
      faiss.write_index(index.index, faiss.PyCallbackIOWriter(file.write))


def load(path: pathlib.Path, kind: str) -> FaissIndex:
  """Reads an index; the lists of `ON_DISK` stay in the file, of which a query reads some.

  Raises:
    RuntimeError: It is damaged.
  """
  faiss = library()
  flags = faiss.IO_FLAG_MMAP if kind == ON_DISK else 0
  return FaissIndex(faiss.read_index(os.fspath(path), flags), kind)
