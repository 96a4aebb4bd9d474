"""The runs on a page."""

import dataclasses
import json
import pathlib
from typing import Any

from vireid_jax.common import paths
from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.workdir_files import CHECKPOINTS, CONFIG, EVALUATIONS, METRICS
from vireid_jax.report import records


@dataclasses.dataclass(frozen=True)
class PageRun:
  """A run on the page.

  Attributes:
    label: Short label, distinct on the page.
    workdir: Folder of the run.
    step: Step of the checkpoint and records; None for the latest.
    item: Item of `--workdir` that named the run.
  """

  label: str
  workdir: pathlib.Path
  step: int | None
  item: str = ""

  @property
  def config(self) -> dict[str, Any]:
    """The run's config as plain values; empty if it is missing or damaged."""
    try:
      kept = json.loads((self.workdir / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
      return {}
    return kept if isinstance(kept, dict) else {}

  @property
  def damaged(self) -> list[str]:
    """Notes on files that cannot be read."""
    found = [] if self.config or not (self.workdir / CONFIG).exists() else [CONFIG]
    return [f"{self.label}: {name} is damaged" for name in found]

  @property
  def records(self) -> list[records.Run]:
    """Evaluation records of the step."""
    return records.of_workdir(self.workdir, self.step)

  @property
  def has_checkpoint(self) -> bool:
    """Whether the run has a folder of checkpoints."""
    return (self.workdir / CHECKPOINTS).is_dir()


def find(items: list[str], *, step: int | None) -> list[PageRun]:
  """Finds the runs of the given items.

  Args:
    items: Workdirs, folders of workdirs, or globs of workdirs.
    step: Step of the checkpoints and records; None for the latest.

  Raises:
    UserError: No folder matches, or no matching folder has a run.
  """
  named: dict[pathlib.Path, str] = {}
  for item in items:
    for folder in _workdirs(item):
      named.setdefault(folder, item)
  folders = list(named)
  if not folders:
    raise UserError(
      f"--workdir: {', '.join(items)} hold no run: no {METRICS}, {CHECKPOINTS}/ or "
      f"{EVALUATIONS}/. Train or evaluate first"
    )
  labels = _labels(folders)
  return [
    PageRun(printable(label), path, step, named[path])
    for label, path in zip(labels, folders, strict=True)
  ]


def _workdirs(item: str) -> list[pathlib.Path]:
  found = []
  for folder in records.folders(item):
    inner = [folder] if is_workdir(folder) else sorted(filter(is_workdir, folder.iterdir()))
    found += [path.absolute() for path in inner]
  return found


def is_workdir(folder: pathlib.Path) -> bool:
  """Returns whether a folder has files of a run."""
  return any((folder / name).exists() for name in (METRICS, CHECKPOINTS, EVALUATIONS))


def _labels(folders: list[pathlib.Path]) -> list[str]:
  """Returns each path relative to their common folder; of a single one, its last two components."""
  if len(folders) == 1:
    return ["/".join(folders[0].parts[-2:])]
  shared = paths.common_folder(folders)
  return [paths.below(path, shared) for path in folders]
