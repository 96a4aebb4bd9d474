"""The runs that a page is about."""

import dataclasses
import json
import os
import pathlib
from typing import Any

from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.workdir_files import CHECKPOINTS, CONFIG, EVALUATIONS, METRICS
from vireid_jax.report import records


@dataclasses.dataclass(frozen=True)
class PageRun:
  """A workdir.

  Attributes:
    label: short and distinct on the page.
    workdir: of the run.
    step: asked for, or None for the latest.
  """

  label: str
  workdir: pathlib.Path
  step: int | None

  @property
  def config(self) -> dict[str, Any]:
    """The run's config, plain; empty where it was not kept, or is damaged."""
    try:
      kept = json.loads((self.workdir / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
      return {}
    return kept if isinstance(kept, dict) else {}

  @property
  def damaged(self) -> list[str]:
    """Says which of its files cannot be read."""
    found = [] if self.config or not (self.workdir / CONFIG).exists() else [CONFIG]
    return [f"{self.label}: {name} is damaged" for name in found]

  @property
  def records(self) -> list[records.Run]:
    """Evaluation records of the step."""
    return records.of_workdir(self.workdir, self.step)

  @property
  def has_checkpoint(self) -> bool:
    """Whether there may be a network to look at."""
    return (self.workdir / CHECKPOINTS).is_dir()


def find(items: list[str], *, step: int | None) -> list[PageRun]:
  """Finds the workdirs of some items.

  Args:
    items: each a workdir, a folder of workdirs, or a glob of them.
    step: of the checkpoints and records.

  Raises:
    UserError: no folder matches, or what matches holds no run.
  """
  folders = list(dict.fromkeys(folder for item in items for folder in _workdirs(item)))
  if not folders:
    raise UserError(
      f"--workdir: {', '.join(items)} hold no run: no {METRICS}, {CHECKPOINTS}/ or "
      f"{EVALUATIONS}/. Train or evaluate first"
    )
  labels = _labels(folders)
  return [
    PageRun(printable(label), path, step) for label, path in zip(labels, folders, strict=True)
  ]


def _workdirs(item: str) -> list[pathlib.Path]:
  found = []
  for folder in records.folders(item):
    inner = [folder] if is_workdir(folder) else sorted(filter(is_workdir, folder.iterdir()))
    found += [path.absolute() for path in inner]
  return found


def is_workdir(folder: pathlib.Path) -> bool:
  """Says whether a run has left anything in a folder."""
  return any((folder / name).exists() for name in (METRICS, CHECKPOINTS, EVALUATIONS))


def _labels(folders: list[pathlib.Path]) -> list[str]:
  """Returns each folder below what all of them share; alone, its last two parts."""
  if len(folders) == 1:
    return ["/".join(folders[0].parts[-2:])]
  shared = os.path.commonpath(folders)
  labels = [path.relative_to(shared).as_posix() for path in folders]
  return [shared.rsplit("/", 1)[-1] if label == "." else label for label in labels]
