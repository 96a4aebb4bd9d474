"""Gallery draws: which images stand in the gallery of a trial. Pure functions of the trial."""

import random
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import Records

Folders = dict[tuple[int, int], list[int]]  # (identity, camera) -> rows of the records


def group_by_identity_and_camera(
  records: Records, modality: int, cameras: Iterable[int] | None = None
) -> Folders:
  """Groups the images of one modality as the owner's folders do.

  Args:
    records: the split.
    modality: `VISIBLE` or `INFRARED`.
    cameras: which cameras to keep; all when None.

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
    UserError: the file is not named by a number.
  """
  stem = base_name(name).split(".", 1)[0]
  if not stem.isdecimal():
    raise UserError(
      f"file name {str(name)!r} holds no image number, which the official gallery draws need; "
      "expected names such as cam1/0007/0012.jpg, or use gallery 'random_choice'"
    )
  return int(stem)


def are_same(drawn: Sequence[np.ndarray]) -> bool:
  """Says whether several galleries, int [g] each, hold the same images, in whichever order."""
  first = np.sort(drawn[0]) if len(drawn) else ()
  return len(drawn) > 1 and all(np.array_equal(np.sort(rows), first) for rows in drawn[1:])


def random_choice(groups: Folders, *, trial: int, shots: int) -> np.ndarray:
  """Draws as `random.seed(trial)` and one `random.sample(files, shots)` per folder would.

  For one shot this is the image that `random.choice` picks. Folders are visited identity first,
  then camera; one with fewer than `shots` images gives all it has.

  Args:
    groups: from `group_by_identity_and_camera`.
    trial: seed of the draw.
    shots: images per folder.

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
  """Takes the first `shots` images of the owner's permutation, row `trial`.

  Numbers without an image (a file that was skipped as corrupt) are passed over, so the next one
  of the permutation takes the place.

  Args:
    groups: from `group_by_identity_and_camera`.
    image_numbers: 1-based image number of each row in `groups`.
    permutations: {camera: {identity: 10 permutations of its image numbers}}, keys as text.
    trial: which of the permutations, from 0.
    shots: images per folder.

  Returns:
    int64 [g], rows of the records, identity first, then camera.

  Raises:
    UserError: the permutations do not hold a folder or the trial.
  """
  drawn = []
  for (identity, camera), rows in groups.items():
    table = permutations.get(str(camera), {}).get(str(identity), ())
    if trial >= len(table):
      raise UserError(
        f"the official permutation has {len(table)} trials for identity {identity} in camera "
        f"{camera}, trial {trial} was asked for; use gallery 'random_choice', or fewer trials"
      )
    row_of = {image_numbers[row]: row for row in rows}
    drawn.extend([row_of[number] for number in table[trial] if number in row_of][:shots])
  return np.array(drawn, np.int64)
