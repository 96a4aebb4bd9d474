"""The file that says that a run is finished, and with which config."""

import json
import pathlib
import sys

from vireid_jax.common import files
from vireid_jax.common.errors import printable
from vireid_jax.common.workdir_files import FINISHED


def is_finished(workdir: pathlib.Path, config: dict) -> bool:
  """Whether a run of this config has ended in a workdir, and says so if it has.

  Args:
    workdir: of the run.
    config: of the run, as plain nested values.

  Returns:
    False for another config too; and for a file that cannot be read, which is named.
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
  """Says that a run has ended; see `is_finished`."""
  files.write_json(workdir / FINISHED, config)
