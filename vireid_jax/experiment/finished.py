"""Marks runs as finished, with their config."""

import json
import pathlib
import sys

from vireid_jax.common import files
from vireid_jax.common.errors import printable
from vireid_jax.common.workdir_files import FINISHED


def is_finished(workdir: pathlib.Path, config: dict) -> bool:
  """Returns whether a run of this config has finished in a workdir, and prints it if so.

  Args:
    workdir: Folder of the run.
    config: Config of the run, plain nested values.

  Returns:
    True if it has finished; False also for another config, and for an unreadable mark, which is
    reported.
  """
  path = workdir / FINISHED
  if not path.exists():
    return False
  try:
    stored = json.loads(path.read_bytes())
  except (OSError, ValueError, RecursionError) as error:
    print(f"{printable(str(path))} is ignored, it cannot be read: {error}", file=sys.stderr)
    return False
  if stored != config:
    return False
  print(f"{printable(str(workdir))} is finished", flush=True)
  return True


def mark(workdir: pathlib.Path, config: dict) -> None:
  """Marks a run as finished; see `is_finished`."""
  files.write_json(workdir / FINISHED, config)
