"""One HTML file about one or several runs: curves, tables, ranked lists, features, attention."""

import pathlib

from vireid_jax.common.workdir_files import PAGE
from vireid_jax.report.page import needs


def write(items: list[str], file: str = "", *, step: int | None = None) -> pathlib.Path:
  """Writes the page, and its figures as PNG and SVG into a folder beside it.

  Args:
    items: each a workdir, a folder of workdirs, or a glob of them, as for the text report.
    file: to write; empty for `report.html` in the first item where that is one folder, else in the
      current one.
    step: of the checkpoints and records; the latest of each run when None.

  Returns:
    The file that was written.

  Raises:
    UserError: a package is missing, no folder matches, or the file cannot be written.
  """
  needs.check()
  from vireid_jax.report.page import compose  # imports what `needs` checks

  return compose.write(items, _file(items, file), step=step)


def _file(items: list[str], file: str) -> pathlib.Path:
  first = pathlib.Path(items[0]).expanduser()
  default = first / PAGE if len(items) == 1 and first.is_dir() else PAGE
  return pathlib.Path(file or default).expanduser()
