"""The folder of a synthetic data set: its marker file and its images."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence

from vireid_jax.common import files, interrupts, paths, progress
from vireid_jax.common.errors import UserError
from vireid_jax.data.synthetic.stream import Key, render_encoded
from vireid_jax.data.synthetic.world import WorldSpec

MARKER = "SYNTHETIC.txt"
MASKS = "masks"
INCOMPLETE = ".incomplete"  # suffix of a folder that is being written
# Everything that an earlier run may have written, and that may be replaced.
OWN_FOLDERS = (
  *(f"cam{camera}" for camera in range(1, 7)),
  *("exp", "Visible", "Thermal", "idx", "vis", "nir", "test_vis", "test_nir", "pictures", MASKS),
)


@dataclasses.dataclass(frozen=True)
class Job:
  """One image file: its path relative to the root, and the key of the image to render."""

  path: str
  key: Key


@contextlib.contextmanager
def new_tree(out_dir: str | os.PathLike, spec: WorldSpec) -> Iterator[pathlib.Path]:
  """Yields a folder with the marker; its files move to `out_dir` once they are complete.

  A synthetic data set in `out_dir` is then replaced; until then it stays.

  Args:
    out_dir: Final folder; created if missing.
    spec: The world, described in the marker.

  Yields:
    A hidden folder in `out_dir`, or next to it if `out_dir` does not exist.

  Raises:
    UserError: `out_dir` holds files that are not a synthetic data set.
  """
  root = paths.local(out_dir, "--out=").absolute()
  _check_ours(root)
  place = root / root.name if root.is_dir() else root
  place.parent.mkdir(parents=True, exist_ok=True)
  with files.temporary_folder(files.hidden_sibling(place, INCOMPLETE)) as folder:
    (folder / MARKER).write_text(_marker_text(spec), encoding="utf-8")
    yield folder
    with interrupts.deferred():
      _publish(folder, root)


def _publish(folder: pathlib.Path, root: pathlib.Path) -> None:
  if not root.exists():
    folder.rename(root)
    return
  for name in OWN_FOLDERS:
    shutil.rmtree(root / name, ignore_errors=True)
  # The marker first, so that after a kill the next run recognises the folder as synthetic.
  for path in sorted(folder.iterdir(), key=lambda path: path.name != MARKER):
    path.replace(root / path.name)


def _check_ours(root: pathlib.Path) -> None:
  if root.exists() and not root.is_dir():
    raise UserError(f"{root} is a file; choose a folder for the data set")
  found = [path for path in root.iterdir() if path.suffix != INCOMPLETE] if root.is_dir() else []
  if found and not (root / MARKER).is_file():
    raise UserError(
      f"{root} is not empty and has no {MARKER}: it may contain real data. "
      "Choose another folder, or empty this one yourself"
    )


def _marker_text(spec: WorldSpec) -> str:
  settings = "".join(f"  {key} = {value}\n" for key, value in dataclasses.asdict(spec).items())
  return (
    "The images in this folder were rendered by vireid_jax; nobody in them exists. Results on\n"
    "them are synthetic, and not comparable to results on the data set whose layout they use.\n"
    f"\nsettings:\n{settings}"
  )


def write_images(
  root: pathlib.Path,
  spec: WorldSpec,
  jobs: Sequence[Job],
  *,
  masks: bool = False,
  workers: int = 1,
) -> None:
  """Renders and writes image files.

  Args:
    root: Folder to which the jobs' paths are relative.
    spec: The world.
    jobs: Files to write, all with the same suffix.
    masks: Whether to write the masks too, as PNG under the same paths in `masks/`.
    workers: Number of rendering processes.
  """
  for parent in sorted({pathlib.PurePosixPath(job.path).parent for job in jobs}):
    (root / parent).mkdir(parents=True, exist_ok=True)
    if masks:
      (root / MASKS / parent).mkdir(parents=True, exist_ok=True)
  suffix = pathlib.PurePosixPath(jobs[0].path).suffix
  keys = [job.key for job in jobs]
  rendered = render_encoded(spec, keys, suffix=suffix, masks=masks, workers=workers)
  with progress.part("rendering", len(jobs), "img") as activity:
    for job, encoded in zip(jobs, rendered, strict=True):
      (root / job.path).write_bytes(encoded.image)
      if masks:
        (root / MASKS / job.path).with_suffix(".png").write_bytes(encoded.mask)
      activity.advance()


def write_lines(path: pathlib.Path, lines: Sequence[str]) -> None:
  """Writes lines to a text file, and creates its folder."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
