"""Tables from the JSON records of evaluations."""

from vireid_jax.report import layout, records, tables, thresholds


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
