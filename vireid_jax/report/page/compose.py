"""Composes the page; problems with a single run become notes, not errors."""

import pathlib
import time

from vireid_jax.common import files
from vireid_jax.common.errors import UserError
from vireid_jax.common.version import __version__
from vireid_jax.evaluators.results import METRICS
from vireid_jax.report import layout, records, tables, thresholds
from vireid_jax.report.page import (
  cmc,
  curves,
  figures,
  histograms,
  network,
  overlays,
  projection,
  ranked,
  runs,
  template,
)
from vireid_jax.report.page.network import Embedded

LISTS = 12  # best and worst lists each, over all runs; limits the size of the page


def write(items: list[str], file: pathlib.Path, *, step: int | None) -> pathlib.Path:
  """Writes the page, as `page.write` with a resolved path."""
  found = runs.find(items, step=step)
  files.make_workdir(file.absolute().parent)
  folder = figures.Folder(file.with_name(f"{file.stem}_figures"))
  notes = [text for run in found for text in (*run.damaged, *curves.notes(run))]
  embedded = _embed(found, notes)
  content = {
    "title": _title(found),
    "runs": [{"label": run.label, "facts": network.identify(run)} for run in found],
    "differences": network.config_differences(found),
    # If the network cannot be read, the records and the config still say so.
    "synthetic": any(each.dataset.is_synthetic for each in embedded.values())
    or any(map(network.is_synthetic, found)),
    "metrics": METRICS,
    "tables": _tables(items, step, notes),
    "verification": thresholds.lines(items, step=step),
    "curves": curves.draw(found, folder),
    "cmc": cmc.draw(embedded, folder),
    "features": [_features(label, each, folder, len(found)) for label, each in embedded.items()],
    "shown": ranked.SHOWN,
    "figures": folder.path.name,
    "notes": notes,
    "version": __version__,
    "date": time.strftime("%Y-%m-%d"),
  }
  files.write_text(file, template.render(content))
  return file


def _embed(found: list[runs.PageRun], notes: list[str]) -> dict[str, Embedded]:
  embedded = {}
  for run in found:
    if not run.has_checkpoint:
      notes.append(f"{run.label}: no checkpoint, hence no lists, features or attention.")
      continue
    try:
      embedded[run.label] = network.embed(run)
    except UserError as error:
      notes.append(f"{run.label}: no lists, features or attention: {error}")
  return embedded


def _tables(items: list[str], step: int | None, notes: list[str]) -> list[dict]:
  try:
    built = tables.build(items, step=step)
  except UserError as error:
    notes.append(f"No tables: {error}")
    return []
  notes += records.skipped(items, step=step) + tables.absent(items, step=step)
  return [
    {
      "title": table.title,
      "note": table.note,
      "rows": [
        (row.run, block, row.label, row.runs, *layout.texts(row.cells.get(block)))
        for block in table.blocks
        for row in table.rows
      ],
    }
    for table in built
  ]


def _features(label: str, embedded: Embedded, folder: figures.Folder, count: int) -> dict:
  """Returns the page's data about the features of one run."""
  setting = next(iter(embedded.comparisons))
  each = max(2, min(ranked.EACH, LISTS // count))
  best, worst = ranked.best_and_worst(embedded, setting, each)
  pairs = overlays.pairs(embedded, best, worst)
  for name, lists in (("best", best), ("worst", worst)):
    if lists:
      ranked.draw(embedded, lists, f"{name} queries {label}", folder)
  if pairs:
    overlays.draw(label, pairs, folder)
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
    "histograms": histograms.draw(label, embedded, folder),
    "projection": projection.draw(label, embedded, folder),
    "pairs": [overlays.to_page(embedded, pair) for pair in pairs],
  }


def _title(found: list[runs.PageRun]) -> str:
  if len(found) == 1:
    return found[0].label
  return f"{len(found)} runs: " + ", ".join(run.label for run in found)
