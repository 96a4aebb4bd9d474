"""Tables from the JSON records that evaluations leave behind."""

from vireid_jax.report import layout, records, tables, thresholds


def render(items: list[str], *, step: int | None = None) -> str:
  """Writes everything that the records of some runs say, as Markdown and then as LaTeX.

  Args:
    items: a row each: a workdir, a folder of workdirs, or a glob of them, whose runs are averaged.
    step: of the checkpoints; the latest of each run when absent.

  Returns:
    The text; the same records give the same bytes.

  Raises:
    UserError: nothing was evaluated, or runs of one item must not be averaged.
  """
  found = tables.build(items, step=step)
  parts = [layout.markdown(table) for table in found]
  parts += [text for text in [thresholds.markdown(items, step=step)] if text]
  parts += [layout.latex(table) for table in found]
  parts += [layout.notes(records.skipped(items, step=step) + tables.absent(items, step=step))]
  return "\n".join(filter(None, parts))
