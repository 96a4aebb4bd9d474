"""Searches for people in folders of pictures."""

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Iterable

from vireid_jax.common import files, formats, hints, paths, table, terminal
from vireid_jax.common.errors import UserError, printable
from vireid_jax.retrieval import lists

Thresholds = Callable[..., list[dict]]  # see `report.threshold_hint.find`


def search(options: argparse.Namespace, *, thresholds: Thresholds) -> str:
  """Updates the indexes, ranks the gallery for each query, prints lists and writes the page.

  Args:
    options: Parsed command line.
    thresholds: Function (workdir, step, feature, modalities) -> operating points.

  Returns:
    Every list for a program, as `options.format` says; '' for 'table'.

  Raises:
    UserError: An option is wrong, there is no picture, or a file cannot be written.
  """
  from vireid_jax.retrieval import engines, exclusion, gallery, groups, index_place
  from vireid_jax.retrieval import model as model_lib

  # Everything is checked before minutes of embedding.
  _check(options)
  engines.check(options.engine, options.faiss)
  table = groups.check(options.group, options.groups, options.false_accept_rate)
  exclude = exclusion.parse(options.exclude, options.cameras)
  places = gallery.check(options.gallery)
  index_place.check(options.index, places)
  model = model_lib.load(options.checkpoint, step=options.step, batch=options.batch)
  points = thresholds(
    model.trained.folder,
    step=model.trained.step,
    feature=model.feature,
    modalities=(options.query_modality, options.gallery_modality),
  )
  least = groups.threshold(points, options.false_accept_rate, _measuring(model))
  pictures = gallery.open_gallery(model, places, options.gallery_modality, index_at=options.index)
  _say(pictures.notes)
  queries = gallery.open_queries(model, options.query, options.query_modality)
  _warn_skipped(pictures, queries)
  labels, warnings = exclude.labels(queries.paths, pictures.paths)
  divided, more = groups.divide(table, pictures.names, pictures.paths) if table else (None, [])
  for text in [*warnings, *more]:
    print(f"warning: {text}", file=sys.stderr)
  _say(queries.notes)
  ranking, seconds = _rank(options, model, queries, pictures, labels, places, divided)
  found = lists.Lists(queries.names, pictures.names, ranking.lists())
  if divided:
    found = dataclasses.replace(found, kind=options.group, group=divided.name_of, least=least)
  _print(found, seconds)
  print(_describe(model, points))
  if options.out:
    _write_page(options, model, queries, pictures, ranking, found)
  return "" if options.format == formats.TABLE else _written(options, model, found, points)


def _check(options) -> None:
  """Raises UserError for values that are out of range, or a page that cannot be written."""
  if options.top < 1:
    raise UserError(f"--top is {options.top}; it must be at least 1")
  least = options.min_similarity
  if least is not None and not -1 <= least <= 1:  # NaN too
    raise UserError(
      f"--min_similarity is {least}; similarities are cosines, from -1 to 1. Search without it to "
      "see the thresholds that the checkpoint's evaluation suggests"
    )
  if options.out:
    files.check_file(paths.path(options.out, "--out="), "--out")


def _warn_skipped(pictures, queries) -> None:
  from vireid_jax.retrieval.pictures import describe_skipped

  for role, skipped in (("gallery", pictures.skipped), ("query", queries.skipped)):
    if skipped:
      print(f"{role}: {describe_skipped(skipped)}", file=sys.stderr)


def _rank(options, model, queries, pictures, labels, places, divided):
  """Returns the ranking and the seconds that ranking took."""
  from vireid_jax.retrieval import engines, groups

  searcher, notes = engines.open_searcher(
    pictures,
    places,
    engine=options.engine,
    kind=options.faiss,
    index_at=options.index,
    normalize=model.normalize,
  )
  _say(notes)
  if divided:
    searcher = groups.GroupSearcher(searcher, pictures.features, divided, normalize=model.normalize)
  least = -math.inf if options.min_similarity is None else options.min_similarity
  started = time.perf_counter()
  ranking = searcher(queries.features, top=options.top, exclude=labels, min_similarity=least)
  return ranking, time.perf_counter() - started


def _say(lines: Iterable[str]) -> None:
  """Prints sentences, wrapped to the terminal."""
  for line in lines:
    print(terminal.fitted(line, sys.stdout))


def _print(found: lists.Lists, seconds: float) -> None:
  """Prints the lists of up to `lists.MOST` queries, or their summary."""
  count = len(found.queries)
  if count <= lists.MOST:
    print(f"{table.plain(found.head, found.table(), found.align)}\n")
  else:
    _say(found.summary())
  words = "1 query" if count == 1 else f"{count} queries"
  print(f"{words} in {len(found.gallery)} pictures, {1e3 * seconds / count:.1f} ms each")


def _written(options, model, found: lists.Lists, points: list[dict]) -> str:
  """Returns every list as CSV or JSON."""
  facts = {
    "checkpoint": str(model.trained.folder),
    "step": model.trained.step,
    "query_modality": options.query_modality,
    "gallery_modality": options.gallery_modality,
    "min_similarity": options.min_similarity,
    "exclude": options.exclude,
    "thresholds": points,
    "queries": list(found.queries),  # one without a picture has no row
  }
  if found.least is not None:
    facts["accepted_above"] = found.least
  return formats.written(options.format, "search", found.columns, found.rows(), **facts)


def _describe(model, points: list[dict]) -> str:
  """Returns thresholds for --min_similarity, in percent, or the command that measures them."""
  if not points:
    text = f"thresholds for --min_similarity: {_measuring(model)} measures them"
    if terminal.fitted(text, sys.stdout) == text:
      return text
    # A command on a line of its own can be copied.
    return f"thresholds for --min_similarity are measured by\n  {_measuring(model)}"
  rows = [
    (
      f"{point['min_similarity']:.3f}",
      f"{100 * point['false_accept_rate']:.3g} %",
      f"{100 * point['true_accept_rate']:.1f} %",
    )
    for point in points
  ]
  head = ("min_similarity", "of wrong pairs", "of right pairs")
  drawn = table.plain(head, rows, "rrr", indent="  ")
  where = f"pairs above a threshold, in {printable(points[0]['record'])}:"
  return f"{terminal.fitted(where, sys.stdout)}\n{drawn}"


def _measuring(model) -> str:
  """Returns the command that measures the checkpoint's ROC."""
  words = ("--workdir", model.trained.folder, "--config.eval.verification=True")
  return hints.command("evaluate", *words)


def _write_page(options, model, queries, pictures, ranking, found) -> None:
  from vireid_jax.retrieval import page

  galleries = ", ".join(options.gallery)
  facts = {
    "checkpoint": f"{model.trained.folder}, step {model.trained.step}",
    "method": f"{model.method}, trained on {model.trained.trained_on}",
    "queries": f"{len(queries.names)} {options.query_modality}, {options.query}",
    "gallery": f"{len(pictures.names)} {options.gallery_modality}, {galleries}",
    "similarity": "cosine, from -1 to 1; larger is closer",
  }
  if options.exclude:
    facts["left out"] = options.exclude
  if options.min_similarity is not None:
    facts["least similarity"] = f"{options.min_similarity:g}"
  if options.group:
    facts["listed"] = f"one picture per {options.group} of {options.groups}"
  if found.least is not None:
    facts["accepted above"] = f"{found.least:.3f}"
  path = paths.path(options.out, "--out=")
  page.write(
    path,
    title=f"Search in {galleries}",
    facts={label: printable(value) for label, value in facts.items()},
    queries=list(zip(queries.names, queries.paths, strict=True)),
    gallery=(pictures.names, pictures.root),
    ranking=ranking,
    label=found.label,
  )
  print(printable(str(path)))
