"""Reads and writes `manifest.json` of a workdir: the provenance of a run, and its notices.

Each start of a run adds an entry, since a run may be continued by other code or on other devices.
For notices see `vireid_jax.experiment.notices`.
"""

import json
import pathlib
import sys

import jax

from vireid_jax.common import files, units
from vireid_jax.common.workdir_files import MANIFEST

FORMAT = 1


def add_notice(workdir: pathlib.Path, notice: dict) -> None:
  """Adds a notice to a workdir's manifest."""
  record = read(workdir)
  store(workdir, {**record, "notices": [*record["notices"], notice]})


def read(workdir: pathlib.Path) -> dict:
  """Returns a workdir's manifest; an empty one if there is none.

  An unreadable manifest is reported on standard error and treated as empty: losing the history is
    no
  reason not to train.
  """
  path, empty = workdir / MANIFEST, {"format": FORMAT, "starts": [], "notices": []}
  if not path.exists():
    return empty
  try:
    stored = {**empty, **json.loads(path.read_text(encoding="utf-8"))}
    if all(isinstance(entry, dict) for key in ("starts", "notices") for entry in stored[key]):
      return stored
  except (ValueError, TypeError, RecursionError):
    pass
  if jax.process_index() == 0:
    print(f"warning: {path} is damaged; its entries are skipped", file=sys.stderr, flush=True)
  return empty


def store(workdir: pathlib.Path, record: dict) -> None:
  """Writes a workdir's manifest.

  Args:
    workdir: Folder of the run.
    record: Manifest, as returned by `read`.

  Raises:
    UserError: The workdir cannot be written.
  """
  with files.user_errors_for_writes(workdir):
    files.write_json(workdir / MANIFEST, {**record, **units.entry(units.MANIFEST)})
