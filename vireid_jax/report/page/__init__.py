"""An HTML page about one or several runs: tables, curves, ranked lists, features, attention."""

import pathlib

from vireid_jax.common import paths
from vireid_jax.common.workdir_files import PAGE
from vireid_jax.report.page import needs


def write(items: list[str], file: str = "", *, step: int | None = None) -> pathlib.Path:
  """Writes the page, and its figures as PNG and SVG into a folder next to it.

  Args:
    items: Workdirs, folders of workdirs, or globs of workdirs, as for the text report.
    file: Path of the page. Empty for `report.html`, in the item if there is only one and it is a
      folder, otherwise in the current folder.
    step: Step of the checkpoints and records; None for the latest of each run.

  Returns:
    Path of the page.

  Raises:
    UserError: A package is missing, no folder matches, or the file cannot be written.
  """
  needs.check()
  from vireid_jax.report.page import compose  # imports what `needs` checks

  return compose.write(items, _file(items, file), step=step)


def _file(items: list[str], file: str) -> pathlib.Path:
  first = paths.path(items[0], "--workdir=")
  default = first / PAGE if len(items) == 1 and first.is_dir() else PAGE
  return paths.path(file or default, "--html=")
