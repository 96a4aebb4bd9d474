"""Tables from the JSON records of evaluations."""

import sys

from vireid_jax.common import formats, terminal
from vireid_jax.report import headline, layout, records, tables, thresholds


def render(items: list[str], *, step: int | None = None) -> str:
  """Renders the records of some runs as tables, in Markdown and then in LaTeX.

  Args:
    items: Workdirs, folders of workdirs, or globs of workdirs, one for each row; the runs of one
      item are averaged.
    step: Step of the checkpoints; None for the latest of each run.

  Returns:
    The text; equal records give equal text.

  Raises:
    UserError: Nothing was evaluated, or the runs of an item must not be averaged.
  """
  found = tables.build(items, step=step)
  sections = [layout.markdown(table) for table in found]
  sections += [text for text in [thresholds.markdown(items, step=step)] if text]
  sections += [layout.latex(table) for table in found]
  sections += [layout.notes(records.skipped(items, step=step) + tables.absent(items, step=step))]
  return "\n".join(filter(None, sections))


def written(
  items: list[str], form: str, *, everything: bool = False, step: int | None = None
) -> str:
  """Renders the records of some runs in a format.

  Args:
    items: As of `render`.
    form: One of `formats.PAPER_FORMATS`. Rates are in percent, in CSV and JSON in [0, 1].
    everything: With 'table', also print what `render` returns.
    step: Step of the checkpoints; None for the latest of each run.
  """
  found = tables.build(items, step=step)
  notes = records.skipped(items, step=step) + tables.absent(items, step=step)
  if form in (formats.CSV, formats.JSON):
    rows = headline.rows(items, found)
    return formats.written(form, "report", headline.COLUMNS, rows, notes=notes)
  if form in (formats.MARKDOWN, formats.LATEX):
    return "\n".join(getattr(layout, form)(table) for table in found)
  text = headline.render(items, found, step=step)
  if everything or not text:
    return "\n\n".join(filter(None, (text, render(items, step=step))))
  said = f" and {len(notes)} note{'s' * (len(notes) > 1)}" if notes else ""
  note = f"percent; --all prints all settings{said}, --format csv or json rates"
  return f"{text}\n\n{terminal.fitted(note, sys.stdout)}"
