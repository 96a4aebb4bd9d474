"""Composes the page; problems with a single run become notes, not errors."""

import functools
import pathlib
import time

from vireid_jax.common import files
from vireid_jax.common.version import __version__
from vireid_jax.report import thresholds
from vireid_jax.report.page import (
  cmc,
  curves,
  facts,
  figures,
  headline,
  histograms,
  network,
  overlays,
  projection,
  queries,
  ranked,
  results,
  roc,
  runs,
  seeds,
  template,
  tiles,
)
from vireid_jax.report.page.histograms import Histogram
from vireid_jax.report.page.network import Embedded
from vireid_jax.report.page.notes import Notes

LISTS = 12  # best and worst lists each, over all runs; limits the size of the page


def write(items: list[str], file: pathlib.Path, *, step: int | None) -> pathlib.Path:
  """Writes the page, as `page.write` with a resolved path."""
  found = runs.find(items, step=step)
  files.make_workdir(file.absolute().parent)
  folder = figures.Folder(file.with_name(f"{file.stem}_figures"))
  notes = Notes(text for run in found for text in (*run.damaged, *curves.notes(run)))
  embedded = _embed(found, notes)
  content = {
    "title": _title(found),
    "runs": [{"label": run.label, "facts": _facts(run, notes)} for run in found],
    # If the network cannot be read, the records and the config still say so.
    "synthetic": any(each.dataset.is_synthetic for each in embedded.values())
    or any(map(facts.is_synthetic, found)),
    **_results(items, found, embedded, folder, notes, step),
    **_all_queries(found, embedded, folder, notes),
    "features": [
      one for label, each in embedded.items()
      if (one := notes.attempt(
        f"{label}: lists and attention",
        functools.partial(_features, label, each, folder, len(found), notes), None,
      ))
    ],
    "shown": ranked.SHOWN,
    "figures": folder.path.name,
    "notes": notes,
    "version": __version__,
    "date": time.strftime("%Y-%m-%d"),
  }  # fmt: skip
  files.write_text(file, template.render(content))
  return file


def _embed(found: list[runs.PageRun], notes: Notes) -> dict[str, Embedded]:
  embedded = {}
  for run in found:
    if not run.has_checkpoint:
      notes.append(f"{run.label}: no checkpoint, hence no lists, features or attention.")
      continue
    what = f"{run.label}: no lists, features or attention"
    each = notes.attempt(what, functools.partial(network.embed, run), None)
    if each is not None:
      embedded[run.label] = each
  return embedded


def _facts(run: runs.PageRun, notes: Notes) -> dict[str, str]:
  """Returns the facts of a run; without a readable checkpoint its operations are not counted."""
  found = notes.attempt(f"{run.label}: facts", lambda: facts.of_run(run), {})
  if not (run.has_checkpoint and run.config):
    return {**found, "operations": facts.NOT_RECORDED}
  return found | notes.attempt(f"{run.label}: operations", lambda: facts.cost(run), {})


def _results(items, found, embedded, folder, notes: Notes, step) -> dict[str, object]:
  """Returns the page's data about results and curves."""
  read = {
    run.label: notes.attempt(f"{run.label}: result", functools.partial(headline.of_run, run), None)
    for run in found
  }
  headlines = {label: one for label, one in read.items() if one}
  groups = notes.attempt("Spread over seeds", lambda: seeds.group(headlines), [])
  empty = {"tiles": [], "settings": [], "more": 0}
  main, health = notes.attempt("Curves", lambda: curves.draw(found, folder), ([], []))
  return {
    "tables": results.build(
      items, step, notes, first={one.setting for one in headlines.values()}
    ),
    "tiles": notes.attempt("Tiles", lambda: tiles.build(found, headlines, embedded), empty),
    "verification": notes.attempt(
      "Verification", lambda: thresholds.lines(items, step=step), []
    ),
    "seeds": notes.attempt("Spread over seeds", lambda: seeds.draw(groups, folder), []),
    "differences": notes.attempt(
      "Differences of the configs", lambda: facts.config_differences(found), []
    ),
    "curves": main,
    "health": health,
  }  # fmt: skip


def _all_queries(found, embedded: dict[str, Embedded], folder, notes: Notes) -> dict[str, object]:
  """Returns the page's data about all queries and all pairs of images."""
  counted = {
    label: notes.attempt(
      f"{label}: similarity of pairs", functools.partial(histograms.of_features, each), {}
    )
    for label, each in embedded.items()
  }
  limits = histograms.shared_range(counted)
  rates = notes.attempt("ROC and DET", lambda: _rates(found, counted), {})
  pairs = [
    notes.attempt(
      f"{label}: rank-1 per camera pair", functools.partial(queries.to_page, label, each), None
    )
    for label, each in embedded.items()
  ]
  return {
    "cmc": notes.attempt("CMC", lambda: cmc.draw(embedded, folder), []),
    "precision": notes.attempt("Average precision", lambda: queries.draw(embedded, folder), []),
    "cameras": [each for each in pairs if each],
    "roc": notes.attempt("ROC and DET", lambda: roc.draw(rates, folder), []),
    "histograms": [
      (
        label,
        notes.attempt(
          f"{label}: histograms",
          functools.partial(histograms.draw, label, each, limits, folder),
          [],
        ),
      )
      for label, each in counted.items()
    ],
  }


def _rates(
  found: list[runs.PageRun], counted: dict[str, dict[str, Histogram]]
) -> dict[str, dict[str, roc.Roc]]:
  """Returns each run's recorded rates, or else those of its features."""
  rates = {}
  for run in found:
    pairs = counted.get(run.label, {}).items()
    own = {name: each for name, pair in pairs if (each := roc.of_histogram(pair))}
    rates[run.label] = roc.of_record(run) or own
  return rates


def _features(
  label: str, embedded: Embedded, folder: figures.Folder, count: int, notes: Notes
) -> dict | None:
  """Returns the page's data about the features of one run."""
  setting = embedded.headline
  each = max(2, min(ranked.EACH, LISTS // count))
  best, worst = notes.attempt(
    f"{label}: ranked lists", lambda: ranked.best_and_worst(embedded, setting, each), ([], [])
  )
  pairs = notes.attempt(f"{label}: attention", lambda: overlays.pairs(embedded, best, worst), [])
  for name, lists in (("best", best), ("worst", worst)):
    ranked.draw(embedded, lists, f"{name} queries {label}", folder)
  overlays.draw(label, embedded, pairs, folder)
  comparison = embedded.comparisons[setting]
  return {
    "label": label,
    "step": embedded.trained.step,
    "setting": setting,
    "queries": len(comparison.queries),
    "gallery": len(comparison.gallery),
    "ends": [
      ("Best queries", [ranked.to_page(embedded, item) for item in best]),
      ("Worst queries", [ranked.to_page(embedded, item) for item in worst]),
    ],
    "projection": notes.attempt(
      f"{label}: projection", lambda: projection.draw(label, embedded, folder), []
    ),
    "pairs": [overlays.to_page(embedded, pair) for pair in pairs],
    "inside": overlays.inside(pairs),
  }  # fmt: skip


def _title(found: list[runs.PageRun]) -> str:
  if len(found) == 1:
    return found[0].label
  return f"{len(found)} runs: " + ", ".join(run.label for run in found)
