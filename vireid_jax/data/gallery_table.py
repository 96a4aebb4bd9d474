"""Checks SYSU-MM01's official gallery draws, when they are stored and when they are used."""

from collections.abc import Collection, Mapping

import numpy as np

TRIALS = 10


def problem(table, numbers: Collection[int], *, complete: bool = True) -> str | None:
  """Describes what is wrong with the draws of one identity and camera.

  Args:
    table: The draws; valid are [10, n] integers, each row a permutation of 1..n.
    numbers: Numbers of the images that exist.
    complete: Whether to require all images 1..n and all ten rows; otherwise some may be missing,
      such as corrupt images.

  Returns:
    The problem, or None if the table is valid.
  """
  try:
    rows = np.asarray(table)
  except ValueError:
    return "its rows differ in length"
  if rows.dtype.kind not in "iuf" or rows.ndim != 2:
    return f"it has shape {rows.shape} of {rows.dtype}, expected {TRIALS} rows of image numbers"
  count = rows.shape[1]
  if complete and len(rows) != TRIALS:
    return f"it has {len(rows)} x {count} numbers, expected {TRIALS} rows"
  if not count and not numbers:
    return None  # the camera did not see this identity
  wrong = (np.sort(rows, axis=1) != np.arange(1, count + 1)).any(axis=1)
  if wrong.any():
    row = int(np.flatnonzero(wrong)[0])
    found = ", ".join(f"{value:g}" for value in rows[row][:8]) + ", ..." * (count > 8)
    return f"row {row + 1} is {found}, expected every number from 1 to {count} once"
  expected = set(range(1, count + 1))
  fits = len(set(numbers)) == len(numbers) and set(numbers) <= expected
  if not fits or (complete and len(numbers) != count):
    return f"it draws from images 1 to {count}, and there are {len(numbers)}" + _odd(numbers, count)
  return None


def _odd(numbers: Collection[int], count: int) -> str:
  missing = sorted(set(range(1, count + 1)) - set(numbers))[:5]
  more = sorted(set(numbers) - set(range(1, count + 1)))[:5]
  twice = sorted({number for number in numbers if list(numbers).count(number) > 1})[:5]
  kinds = (("no image", missing), ("also image", more), ("more than one image", twice))
  sentences = [f"{words} {', '.join(map(str, found))}" for words, found in kinds if found]
  return f" ({'; '.join(sentences)})" if sentences else ""


def problems(
  permutations, numbers: Mapping[tuple[int, int], Collection[int]], *, complete: bool = True
) -> list[str]:
  """Describes what is wrong with a data set's draws, one sentence per identity and camera.

  Args:
    permutations: {camera: {identity: table}} with strings as keys, as in the metadata.
    numbers: Numbers of the images that exist, by (identity, camera).
    complete: Whether these are all images. Otherwise only pairs with both images and a table are
      checked, and some of their images may be missing.
  """
  if not isinstance(permutations, Mapping) or not all(
    isinstance(tables, Mapping) for tables in permutations.values()
  ):
    return ["they are not stored by camera and identity"]
  known = {
    (identity, camera): table
    for camera, tables in permutations.items()
    for identity, table in tables.items()
    if complete or not hasattr(table, "__len__") or len(table)
  }
  at_hand = {(str(identity), str(camera)): n for (identity, camera), n in numbers.items()}
  pairs = known.keys() | at_hand.keys() if complete else known.keys() & at_hand.keys()
  nothing, found = np.zeros((TRIALS, 0), int), []
  for identity, camera in sorted(pairs, key=_by_camera):
    pair = identity, camera
    wrong = problem(known.get(pair, nothing), at_hand.get(pair, ()), complete=complete)
    if wrong:
      found.append(f"identity {identity}, camera {camera}: {wrong}")
  return found


def _by_camera(pair: tuple[str, str]) -> tuple:
  identity, camera = pair
  return len(camera), camera, len(identity), identity
