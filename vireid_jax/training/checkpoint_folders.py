"""Which checkpoints a workdir has, read from its folders alone."""

import json
import pathlib
import shutil

from vireid_jax.common import files
from vireid_jax.common.workdir_files import CHECKPOINTS
from vireid_jax.training import checkpoint_seal

UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written
METADATA = "_CHECKPOINT_METADATA"


def newest(workdir: pathlib.Path) -> int | None:
  """Returns the newest complete checkpoint's step, or None."""
  return max(map(step_of, complete(workdir)), default=None)


def clean(workdir: pathlib.Path, *, keep: int | None = None) -> None:
  """Removes what killed saves left behind; only for the run that holds the workdir's lock.

  A save that is under way looks the same, so nobody else may.

  Args:
    workdir: of the run.
    keep: how many of the latest are kept, where a killed run may not have removed the others.
  """
  folder = workdir / CHECKPOINTS
  with files.user_errors_for_writes(workdir):
    for path in folder.glob(f"*{UNFINISHED}*"):
      shutil.rmtree(path)
    for path in complete(workdir)[:-keep] if keep else ():
      shutil.rmtree(path)


def complete(workdir: pathlib.Path) -> list[pathlib.Path]:
  """Returns the folders of complete checkpoints, ascending by step.

  Orbax would list a save that is under way or has failed too, and read files that may be damaged.
  """
  folders = (workdir / CHECKPOINTS).glob("*")
  named = [path for path in folders if path.name.isascii() and path.name.isdecimal()]
  return sorted((path for path in named if path.is_dir()), key=step_of)


def step_of(path: pathlib.Path) -> int:
  """Returns the step of a checkpoint's folder."""
  return int(path.name)


def find_damaged(workdir: pathlib.Path) -> int:
  """Returns the step whose metadata are not as they were saved; the newest where none is known."""
  for folder in complete(workdir):
    try:
      checkpoint_seal.check(folder, METADATA)
      json.loads((folder / METADATA).read_bytes())
    except (ValueError, OSError, RecursionError):
      return step_of(folder)
  return newest(workdir)
