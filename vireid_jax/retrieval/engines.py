"""The engine of a search: exact, or an index of faiss that is kept for the next search."""

import hashlib
import json
import pathlib
import time
from collections.abc import Sequence

import numpy as np

from vireid_jax.common.errors import UserError, printable
from vireid_jax.retrieval import faiss_index, index_place
from vireid_jax.retrieval.engine_names import EXACT, FAISS, FLAT
from vireid_jax.retrieval.faiss_searcher import FaissSearcher
from vireid_jax.retrieval.gallery import Collection
from vireid_jax.retrieval.searcher import Searcher
from vireid_jax.retrieval.streamed import StreamedSearcher

DIGITS = 12  # of a digest in the name of an index
END = f".index{faiss_index.SUFFIX}"

AnySearcher = Searcher | StreamedSearcher | FaissSearcher


def check(engine: str, kind: str | None) -> None:
  """Checks the options --engine and --faiss before minutes of work.

  Raises:
    UserError: --faiss is given without the engine, or faiss is not installed.
  """
  if engine == FAISS:
    faiss_index.library()
  elif kind is not None:
    raise UserError(f"--faiss {kind} is not used; add --engine faiss, or omit --faiss")


def open_searcher(
  gallery: Collection,
  places: Sequence[str],
  *,
  engine: str,
  kind: str | None,
  index_at: str | None,
  normalize: bool,
) -> tuple[AnySearcher, list[str]]:
  """Prepares a gallery for queries.

  Args:
    gallery: Gallery.
    places: Its folders and files.
    engine: One of `engine_names.ENGINES`.
    kind: Kind of faiss index; None for one that suits the size of the gallery.
    index_at: Folder or file of indexes; None for the cache folder.
    normalize: Whether to rank by cosine similarity.

  Returns:
    The searcher, and notes on its index.
  """
  if engine == EXACT:
    on_disk = isinstance(gallery.features, np.memmap)
    make = StreamedSearcher if on_disk else Searcher
    return make(gallery.features, normalize=normalize), []
  kind = kind or faiss_index.kind_for(len(gallery.features))
  path = _path(gallery, places, kind, index_at)
  index, note = _index(gallery.features, kind, path, normalize=normalize)
  return FaissSearcher(gallery.features, index, normalize=normalize), [note]


def _index(features, kind: str, path: pathlib.Path, *, normalize: bool):
  """Returns a kept index, or builds one; and a note."""
  name = printable(str(path))
  if path.exists():
    try:
      index = faiss_index.load(path, kind)
      if len(index) == len(features):
        return index, f"faiss: {kind}; index {name}"
    except RuntimeError:  # damaged: it is built again
      pass
  started = time.perf_counter()
  index = faiss_index.build(features, kind, normalize=normalize)
  seconds = time.perf_counter() - started
  if kind == FLAT:  # as fast to build as to read
    return index, f"faiss: {kind}, built in {seconds:.1f} s"
  faiss_index.save(index, path)
  for old in path.parent.glob(f"{path.name.split('.')[0]}.*.{kind}{END}"):
    if old != path:  # of earlier content of this gallery
      old.unlink(missing_ok=True)
  return faiss_index.load(path, kind), f"faiss: {kind}, built in {seconds:.1f} s; index {name}"


def _path(gallery: Collection, places, kind: str, index_at: str | None) -> pathlib.Path:
  """Returns the file of an index, whose name has digests of the places and of their content."""
  where = _digest(sorted(places))
  return index_place.folder(index_at) / f"faiss-{where}.{_digest(gallery.stamps)}.{kind}{END}"


def _digest(values) -> str:
  return hashlib.sha256(json.dumps(values).encode("ascii")).hexdigest()[:DIGITS]
