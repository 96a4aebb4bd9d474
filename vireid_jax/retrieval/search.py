"""Searches for people in a folder of pictures."""

import argparse
import pathlib
import sys
import time
from collections.abc import Sequence

from vireid_jax.common import files, table
from vireid_jax.common.errors import UserError, printable


def search(options: argparse.Namespace) -> None:
  """Updates the index, ranks the gallery for each query, prints the lists and writes the page.

  Raises:
    UserError: There is no checkpoint or no picture, or a file cannot be written.
  """
  from vireid_jax.retrieval import index as index_lib
  from vireid_jax.retrieval import model as model_lib
  from vireid_jax.retrieval.pictures import count_turned, describe_skipped, folder_of

  if options.top < 1:
    raise UserError(f"--top is {options.top}; it must be at least 1")
  place = options.index or index_lib.default_path(options.gallery, options.gallery_modality)
  place = pathlib.Path(place).expanduser()
  # Checked before minutes of embedding.
  files.check_file(place, "--index")
  if options.out:
    files.check_file(pathlib.Path(options.out).expanduser(), "--out")
  model = model_lib.load(options.checkpoint, step=options.step, batch=options.batch)
  index, changes = index_lib.update(
    model, options.gallery, options.gallery_modality, place, progress=True
  )
  print(f"gallery: {changes}; index {printable(str(place))}")
  queries = model.embed_folder(options.query, options.query_modality, progress=True)
  for role, skipped in (("gallery", index.skipped), ("query", queries.skipped)):
    if skipped:
      print(f"{role}: {describe_skipped(skipped)}", file=sys.stderr)
  _refuse_nothing(options, index.names, queries.names)
  turned = count_turned(folder_of(options.query), queries.names)
  if turned:
    print(f"queries turned by EXIF orientation: {turned}")
  searcher = model.searcher(index.features)
  started = time.perf_counter()
  ranking = searcher(queries.features, top=options.top)
  seconds = time.perf_counter() - started
  print_lists(queries.names, index.names, ranking)
  count, each = len(queries.names), 1e3 * seconds / len(queries.names)
  words = "1 query" if count == 1 else f"{count} queries"
  print(f"{words} in {len(index.names)} pictures, {each:.1f} ms each")
  if options.out:
    _write_page(options, model, queries.names, index.names, ranking)


def _refuse_nothing(options, gallery: list[str], queries: list[str]) -> None:
  for place, names in ((options.gallery, gallery), (options.query, queries)):
    if not names:
      raise UserError(f"{place} has no readable picture; there is nothing to search")


def print_lists(queries: Sequence[str], gallery: Sequence[str], ranking) -> None:
  """Prints a table of rank, similarity and picture for each query."""
  for name, rows, values in zip(queries, ranking.rows, ranking.similarity, strict=True):
    found = [
      (str(rank), f"{value:.3f}", gallery[row])
      for rank, (row, value) in enumerate(zip(rows, values, strict=True), 1)
    ]
    ranked = table.plain(("rank", "similarity", "picture"), found, "rrl")
    print(f"{printable(name)}\n{ranked}\n")


def _write_page(options, model, queries: list[str], gallery: list[str], ranking) -> None:
  from vireid_jax.retrieval import page, pictures

  root = pictures.folder_of(options.query)
  facts = {
    "checkpoint": f"{model.trained.folder}, step {model.trained.step}",
    "method": f"{model.method}, trained on {model.trained.trained_on}",
    "queries": f"{len(queries)} {options.query_modality}, {options.query}",
    "gallery": f"{len(gallery)} {options.gallery_modality}, {options.gallery}",
    "similarity": "cosine; larger is closer",
  }
  path = pathlib.Path(options.out).expanduser()
  page.write(
    path,
    title=f"Search in {options.gallery}",
    facts={label: printable(value) for label, value in facts.items()},
    queries=[(name, root / name) for name in queries],
    gallery=(gallery, pictures.folder_of(options.gallery)),
    ranking=ranking,
  )
  print(printable(str(path)))
