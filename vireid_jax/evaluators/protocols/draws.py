"""Gallery draws: the gallery images of each trial, as pure functions of the trial."""

import random
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import Records

Folders = dict[tuple[int, int], list[int]]  # (identity, camera) -> rows of the records


def group_by_identity_and_camera(
  records: Records, modality: int, cameras: Iterable[int] | None = None
) -> Folders:
  """Groups the images of one modality as in the owner's folders.

  Args:
    records: Records of the split.
    modality: `VISIBLE` or `INFRARED`.
    cameras: Cameras to keep; all if None.

  Returns:
    Rows of `records` per (identity, camera): keys ascending, rows sorted by base file name as
    `sorted(os.listdir(folder))` would.
  """
  wanted = records.modality == modality
  if cameras is not None:
    wanted &= np.isin(records.camera, list(cameras))
  groups = {}
  for row in np.flatnonzero(wanted).tolist():
    key = (int(records.identity[row]), int(records.camera[row]))
    groups.setdefault(key, []).append((base_name(records.name[row]), row))
  return {key: [row for _, row in sorted(groups[key])] for key in sorted(groups)}


def base_name(name: str) -> str:
  """Returns the last part of a file name with forward slashes."""
  return str(name).rsplit("/", 1)[-1]


def image_number(name: str) -> int:
  """Returns the image number in a name such as `cam1/0007/0012.jpg`: 12.

  Raises:
    UserError: The file's name is not a number.
  """
  stem = base_name(name).split(".", 1)[0]
  if not stem.isdecimal():
    raise UserError(
      f"file name {str(name)!r} has no image number, which the official gallery draws need; "
      "expected names such as cam1/0007/0012.jpg, or use gallery 'random_choice'"
    )
  return int(stem)


def are_same(drawn: Sequence[np.ndarray]) -> bool:
  """Returns whether there are several galleries, int [g] each, and all have the same images."""
  first = np.sort(drawn[0]) if len(drawn) else ()
  return len(drawn) > 1 and all(np.array_equal(np.sort(rows), first) for rows in drawn[1:])


def random_choice(groups: Folders, *, trial: int, shots: int) -> np.ndarray:
  """Draws as `random.seed(trial)` and one `random.sample(files, shots)` per folder would.

  For one shot this is the image that `random.choice` picks. Folders are visited by identity, then
  camera; all images are taken from a folder with fewer than `shots`.

  Args:
    groups: Output of `group_by_identity_and_camera`.
    trial: Seed of the draw.
    shots: Number of images per folder.

  Returns:
    int64 [g], rows of the records.
  """
  generator = random.Random(trial)
  drawn = [generator.sample(rows, min(shots, len(rows))) for rows in groups.values()]
  return np.array([row for rows in drawn for row in rows], np.int64)


def official(
  groups: Folders,
  image_numbers: Mapping[int, int],
  permutations: Mapping[str, Mapping[str, list[list[int]]]],
  *,
  trial: int,
  shots: int,
) -> np.ndarray:
  """Takes the first `shots` images of row `trial` of the owner's permutations.

  Numbers without an image (such as a file skipped as corrupt) are ignored, so the next number of
  the permutation takes their place.

  Args:
    groups: Output of `group_by_identity_and_camera`.
    image_numbers: Image number, from 1, of each row in `groups`.
    permutations: {camera: {identity: 10 permutations of its image numbers}}, with text keys.
    trial: Row of the permutations, from 0.
    shots: Number of images per folder.

  Returns:
    int64 [g], rows of the records, by identity, then camera.

  Raises:
    UserError: The permutations lack a folder or the trial.
  """
  drawn = []
  for (identity, camera), rows in groups.items():
    table = permutations.get(str(camera), {}).get(str(identity), ())
    if trial >= len(table):
      raise UserError(
        f"the official permutation has {len(table)} trials for identity {identity} in camera "
        f"{camera}, but trial {trial} is needed; use gallery 'random_choice', or fewer trials"
      )
    row_of = {image_numbers[row]: row for row in rows}
    drawn.extend([row_of[number] for number in table[trial] if number in row_of][:shots])
  return np.array(drawn, np.int64)
