"""The tables of results on the page."""

import dataclasses
from collections.abc import Collection

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.results import METRICS
from vireid_jax.report import layout, records, tables
from vireid_jax.report.page.notes import Notes
from vireid_jax.report.tables import Table

FOLDS = {"plain": False, "folded": True}  # the fold has all that was not ranked plainly


def build(
  items: list[str], step: int | None, notes: Notes, *, first: Collection[str] = ()
) -> dict[str, list[dict]]:
  """Returns the tables of plain results, those to fold, and all as LaTeX.

  Args:
    items: Items of `--workdir`.
    step: Step of the records; None for the latest.
    notes: Notes of the page, to which those on missing records are added.
    first: Settings that lead their tables, as named in records.
  """
  found = {"plain": [], "folded": [], "latex": []}
  try:
    built = tables.build(items, step=step)
  except UserError as error:
    notes.append(f"No tables: {error}")
    return found
  notes += records.skipped(items, step=step) + tables.absent(items, step=step)
  for name, folded in FOLDS.items():
    parts = [part for each in _by_protocol(built) if (part := _part(each, folded, first))]
    found[name] = parts
  found["latex"] = [{"title": table.heading, "text": layout.latex(table)} for table in built]
  return found


def _by_protocol(built: list[Table]) -> list[list[Table]]:
  """Groups tables of one data set, split and protocol, whose variants differ."""
  groups: dict[str, list[Table]] = {}
  for table in built:
    groups.setdefault(_title(table), []).append(table)
  return list(groups.values())


def _title(table: Table) -> str:
  title = table.title.removesuffix(f", {table.variant}") if table.variant else table.title
  return dataclasses.replace(table, title=title).heading


def _part(built: list[Table], folded: bool, first: Collection[str]) -> dict | None:
  """Returns the rows to fold, or the plain ones, as data for the template; None without one."""
  groups, missing, notes = [], [], []
  leading = [_setting(name.split("/")) for name in first]
  for table in built:
    rows = [row for row in table.rows if (row.kind != "plain") == folded]
    for block in table.blocks:
      name = _setting([block, *table.variant.split(", ")])
      lines = [_line(row, row.cells[block]) for row in rows if block in row.cells]
      groups += [(name, lines)] if lines else []
      missing += [f"{row.run}: {name} was not run" for row in rows if block not in row.cells]
    notes += table.note.split("; ") if rows else []
  if not groups:
    return None
  groups.sort(key=lambda group: (group[0] not in leading, group[0]))
  names = {(line["run"], line["label"]) for _, lines in groups for line in lines}
  return {
    "title": _title(built[0]),
    "notes": list(dict.fromkeys(notes)) + missing,
    "metrics": METRICS,
    "groups": groups,
    # With a single run and label the setting names the row.
    "one": ": ".join(*names) if len(names) == 1 else "",
  }


def _line(row: tables.Row, cell: tables.Cell) -> dict:
  runs = "" if row.runs == "1 seed" else row.runs
  words = ", ".join(filter(None, (row.label, runs)))
  return {"run": row.run, "label": words, "cells": layout.texts(cell)}


def _setting(parts: list[str]) -> str:
  return ", ".join(filter(None, parts)).replace("_", " ")
