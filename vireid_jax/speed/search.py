"""Benchmark of search: exact, and with indexes of faiss, among artificial features on disk."""

import argparse
import gc
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np

from vireid_jax.common import formats, progress, table
from vireid_jax.common.errors import UserError, choose
from vireid_jax.common.formats import Column
from vireid_jax.retrieval import faiss_index
from vireid_jax.retrieval.engine_names import EXACT, FLAT, KINDS
from vireid_jax.retrieval.faiss_searcher import FaissSearcher
from vireid_jax.retrieval.streamed import StreamedSearcher
from vireid_jax.speed import gallery_features, ranking

ENGINES = (EXACT, *KINDS)  # 'ondisk' after 'ivfpq', whose file it reads
TOP = 10
SINGLE, BATCH = 1, 64  # queries at once
COLUMNS = (
  Column("pictures"),
  Column("engine"),
  Column("index"),
  Column("recall_1", "rate"),
  Column("recall_10", "rate"),
  Column("rank_1", "rate"),
  Column("single_seconds", "seconds"),
  Column("batch_seconds", "seconds"),
  Column("single_processor_seconds", "seconds"),
  Column("batch_processor_seconds", "seconds"),
  Column("memory", "bytes"),
  Column("disk", "bytes"),
  Column("build_seconds", "seconds"),
)
HEAD = (
  "pictures",
  "engine",
  "recall@1",
  "recall@10",
  "rank-1",
  "ms, 1 query",
  f"ms each of {BATCH}",
  "processor ms, 1",
  f"of {BATCH}",
  "memory GB",
  "index GB",
  "build s",
)


def add_arguments(parser: argparse.ArgumentParser):
  """Adds the flags of the benchmark."""
  parser.add_argument(
    "--pictures", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="sizes of gallery"
  )
  parser.add_argument("--engines", nargs="+", default=list(ENGINES), help=", ".join(ENGINES))
  parser.add_argument("--dimension", type=int, default=2048, help="length of a feature")
  parser.add_argument("--queries", type=int, default=256, help="queries that recall is measured on")
  parser.add_argument("--repeats", type=int, default=5, help="how often each call is timed")
  parser.add_argument("--seed", type=int, default=0, help="seed of the features")
  parser.add_argument(
    "--folder", type=pathlib.Path, help="folder for the features, 4 GB per million; default /tmp"
  )


def run(options: argparse.Namespace) -> dict:
  """Builds and asks every engine for every size of gallery.

  Args:
    options: Parsed flags of `add_arguments`.

  Returns:
    'rows', one per size and engine with the names of `COLUMNS`, the settings and 'peak_memory_gb'.

  Raises:
    UserError: A flag is out of range, faiss is not installed, or the disk has not enough space.
  """
  _check(options)
  world = gallery_features.World(options.dimension, options.seed)
  queries, identities = world.queries(options.queries, min(options.pictures))
  with tempfile.TemporaryDirectory(prefix="search-", dir=options.folder) as folder:
    place = pathlib.Path(folder)
    features = gallery_features.write(place / "features.f16", world, max(options.pictures))
    rows = []
    for count in sorted(options.pictures):
      with progress.part(f"searching {count:,} pictures"):
        rows += _size(options, features[:count], queries, identities, place)
  return {
    "rows": rows,
    "dimension": options.dimension,
    "queries": options.queries,
    "repeats": options.repeats,
    "seed": options.seed,
    "peak_memory_gb": ranking.peak_memory_gb(),
    "units": {**formats.units(COLUMNS), "peak_memory_gb": "gigabytes"},
  }


def _check(options: argparse.Namespace) -> None:
  least = min(*options.pictures, options.dimension, options.queries, options.repeats)
  if least < 1:
    raise UserError("--pictures, --dimension, --queries and --repeats must be at least 1")
  for engine in options.engines:
    choose(engine, ENGINES, "engine")
  if set(options.engines) != {EXACT}:
    faiss_index.library()


def _size(options, features, queries, identities, folder: pathlib.Path) -> list[dict]:
  """Measures the engines in a gallery of one size."""
  truth = StreamedSearcher(features)(queries, top=TOP).rows
  found, built = [], {}
  for engine in dict.fromkeys(options.engines):
    with progress.part(engine):
      before = _memory()
      searcher, facts = _prepared(features, engine, folder, built)
      found.append(
        {
          "pictures": len(features),
          "engine": engine,
          **facts,
          **_quality(searcher(queries, top=TOP).rows, truth, identities),
          "memory": max(_memory() - before, 0),
          **_times(searcher, queries, options.repeats),
        }
      )
      del searcher
      gc.collect()
  return found


def _prepared(features, engine: str, folder: pathlib.Path, built: dict) -> tuple[Callable, dict]:
  """Returns the searcher of an engine, opened as by a search, and facts on its index.

  Args:
    features: float16 [n, d].
    engine: One of `ENGINES`.
    folder: Folder for the index.
    built: Facts on the last index by its description; 'ondisk' reads the file of 'ivfpq'.
  """
  if engine == EXACT:
    return StreamedSearcher(features), {"index": "", "build_seconds": 0.0, "disk": 0}
  description = faiss_index.description(engine, *features.shape)
  path = folder / "index"
  if description not in built:
    started = time.perf_counter()
    index = faiss_index.build(features, engine, normalize=True)
    if engine == FLAT:  # as fast to build as to read
      facts = {"build_seconds": time.perf_counter() - started, "disk": 0}
      return FaissSearcher(features, index), {"index": description, **facts}
    faiss_index.save(index, path)
    built.clear()
    built[description] = {
      "index": description,
      "build_seconds": time.perf_counter() - started,
      "disk": path.stat().st_size,
    }
    del index
  return FaissSearcher(features, faiss_index.load(path, engine)), built[description]


def _quality(found: np.ndarray, truth: np.ndarray, identities: np.ndarray) -> dict:
  """Returns recall of the exact lists [q, k], and how often the first picture is the person."""
  shared = [len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)]
  return {
    "recall_1": float(np.mean(found[:, 0] == truth[:, 0])),
    "recall_10": float(np.mean(shared) / truth.shape[1]),
    "rank_1": float(np.mean(gallery_features.identity_of(found[:, 0]) == identities)),
  }


def _times(searcher: Callable, queries: np.ndarray, repeats: int) -> dict:
  """Returns median seconds of a single query, and per query of a batch, by both clocks."""
  some = np.resize(queries, (BATCH + repeats, queries.shape[1]))
  numbers = {}
  for name, size in (("single", SINGLE), ("batch", BATCH)):
    timed = [_seconds(searcher, some[turn : turn + size]) for turn in range(repeats)]
    wall, processor = (statistics.median(column) / size for column in zip(*timed, strict=True))
    numbers |= {f"{name}_seconds": wall, f"{name}_processor_seconds": processor}
  return numbers


def _seconds(searcher: Callable, queries: np.ndarray) -> tuple[float, float]:
  """Returns the seconds of a search, and those of all threads."""
  clocks = time.perf_counter, time.process_time
  started = [clock() for clock in clocks]
  searcher(queries, top=TOP)
  return tuple(clock() - start for clock, start in zip(clocks, started, strict=True))


def _memory() -> int:
  """Returns the bytes of memory that this process allocated, mapped files not counted."""
  status = pathlib.Path("/proc/self/status")
  if not status.exists():  # not on Linux
    return 0
  line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
  return 1024 * int(line.split()[1])


def text(numbers: dict) -> str:
  """Describes the numbers for a person: a Markdown table."""
  cells = [
    (
      f"{row['pictures']:,}",
      f"{row['engine']} {row['index']}".strip(),
      f"{100 * row['recall_1']:.1f}",
      f"{100 * row['recall_10']:.1f}",
      f"{100 * row['rank_1']:.1f}",
      f"{1e3 * row['single_seconds']:,.1f}",
      f"{1e3 * row['batch_seconds']:,.1f}",
      f"{1e3 * row['single_processor_seconds']:,.1f}",
      f"{1e3 * row['batch_processor_seconds']:,.1f}",
      f"{row['memory'] / 1e9:.2f}",
      f"{row['disk'] / 1e9:.2f}",
      f"{row['build_seconds']:,.0f}",
    )
    for row in numbers["rows"]
  ]
  facts = (
    f"{numbers['queries']} queries, features of {numbers['dimension']} float16 numbers on disk "
    f"({2e6 * numbers['dimension'] / 1e9:.1f} GB per million), peak memory "
    f"{numbers['peak_memory_gb']:.2f} GB"
  )
  return f"{table.markdown(HEAD, cells, 'rl' + 'r' * (len(HEAD) - 2))}\n{facts}"


def columns(numbers: dict) -> Sequence[Column]:
  """Returns the columns of `rows`."""
  del numbers
  return COLUMNS


def rows(numbers: dict) -> list[dict]:
  """Returns a row per size and engine."""
  return numbers["rows"]
