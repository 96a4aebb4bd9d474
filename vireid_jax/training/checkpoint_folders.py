"""Lists and cleans the checkpoints of a workdir by its folders only."""

import json
import pathlib

from vireid_jax.common import files, folders, paths
from vireid_jax.common.workdir_files import CHECKPOINTS
from vireid_jax.training import checkpoint_seal

UNFINISHED = ".orbax-checkpoint-tmp"  # part of the name of a folder being written
METADATA = "_CHECKPOINT_METADATA"
COMMITTED = "commit_success.txt"  # Orbax writes it last, where folders cannot be renamed


def newest(workdir: pathlib.Path) -> int | None:
  """Returns the newest complete checkpoint's step, or None."""
  return max(map(step_of, complete(workdir)), default=None)


def clean(workdir: pathlib.Path, *, keep: int | None = None) -> None:
  """Removes the remains of killed saves; only the holder of the workdir's lock may call it.

  A save in progress looks the same.

  Args:
    workdir: Folder of the run.
    keep: Number of latest checkpoints to keep; a killed run may have left more. None keeps all.
  """
  folder = workdir / CHECKPOINTS
  with files.user_errors_for_writes(workdir):
    for path in folder.glob("*"):
      if UNFINISHED in path.name or (_is_step(path) and not _is_committed(path)):
        folders.remove(path)
    for path in complete(workdir)[:-keep] if keep else ():
      folders.remove(path)


def complete(workdir: pathlib.Path) -> list[pathlib.Path]:
  """Returns the folders of complete checkpoints, ascending by step.

  Orbax would also list saves that failed or are in progress, and read files that may be damaged.
  """
  found = (path for path in (workdir / CHECKPOINTS).glob("*") if _is_step(path))
  return sorted((path for path in found if _is_committed(path)), key=step_of)


def _is_step(path: pathlib.Path) -> bool:
  return path.name.isascii() and path.name.isdecimal() and path.is_dir()


def _is_committed(folder: pathlib.Path) -> bool:
  return not paths.is_remote(folder) or (folder / COMMITTED).is_file()


def step_of(path: pathlib.Path) -> int:
  """Returns the step of a checkpoint folder."""
  return int(path.name)


def find_damaged(workdir: pathlib.Path) -> int:
  """Returns the step of a checkpoint with damaged metadata; the newest step if none is found."""
  for folder in complete(workdir):
    try:
      checkpoint_seal.check(folder, METADATA)
      json.loads((folder / METADATA).read_bytes())
    except (ValueError, OSError, RecursionError):
      return step_of(folder)
  return newest(workdir)
