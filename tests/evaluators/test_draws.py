"""Tests of the gallery draws."""

import random

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators.protocols import draws


def tree(folder_sizes, modality=VISIBLE, seed=0):
  """Returns records of {(identity, camera): images}, stored in shuffled order."""
  names = [
    (identity, camera, f"cam{camera}/{identity:04d}/{image:04d}.jpg")
    for (identity, camera), size in folder_sizes.items()
    for image in range(1, size + 1)
  ]
  random.Random(seed).shuffle(names)
  identity, camera, name = zip(*names, strict=True)
  return Records(
    np.array(identity), np.array(camera), np.full(len(names), modality), np.array(name)
  )


SIZES = {(3, 1): 20, (3, 5): 13, (12, 2): 21, (12, 1): 16, (101, 4): 30, (7, 2): 2}


@pytest.mark.parametrize("trial", range(10))
def test_random_choice_is_pythons_own(trial):
  records = tree(SIZES)
  drawn = draws.random_choice(
    draws.group_by_identity_and_camera(records, VISIBLE), trial=trial, shots=1
  )
  random.seed(trial)
  want = []
  for identity, camera in sorted(SIZES):
    files = [f"{image:04d}.jpg" for image in range(1, SIZES[identity, camera] + 1)]
    want.append(f"cam{camera}/{identity:04d}/{random.choice(sorted(files))}")
  assert records.name[drawn].tolist() == want


def test_random_choice_of_several_is_pythons_sample():
  records = tree(SIZES)
  drawn = draws.random_choice(
    draws.group_by_identity_and_camera(records, VISIBLE), trial=4, shots=10
  )
  random.seed(4)
  want = []
  for identity, camera in sorted(SIZES):
    files = [f"{image:04d}.jpg" for image in range(1, SIZES[identity, camera] + 1)]
    chosen = random.sample(files, min(10, len(files)))
    want.extend(f"cam{camera}/{identity:04d}/{name}" for name in chosen)
  assert records.name[drawn].tolist() == want
  assert len(drawn) == 52


def test_draw_leaves_pythons_global_state_alone():
  random.seed(11)
  state = random.getstate()
  draws.random_choice({(1, 1): [0, 1, 2]}, trial=0, shots=1)
  assert random.getstate() == state


def test_files_are_sorted_as_text():
  records = Records([1, 1, 1], [1, 1, 1], [VISIBLE] * 3, ["v/1/10.jpg", "v/1/9.jpg", "v/1/1.jpg"])
  assert draws.group_by_identity_and_camera(records, VISIBLE) == {(1, 1): [2, 0, 1]}


def test_folders_keep_one_modality_and_the_cameras_asked_for():
  records = Records([1, 1, 2, 2], [1, 2, 1, 1], [VISIBLE, VISIBLE, VISIBLE, INFRARED], ["a"] * 4)
  assert draws.group_by_identity_and_camera(records, VISIBLE, (1,)) == {(1, 1): [0], (2, 1): [2]}
  assert draws.group_by_identity_and_camera(records, INFRARED) == {(2, 1): [3]}


def official(records, table, **kwargs):
  groups = draws.group_by_identity_and_camera(records, VISIBLE)
  numbers = [draws.image_number(name) for name in records.name]
  rows = draws.official(groups, dict(enumerate(numbers)), table, **kwargs)
  return records.name[rows].tolist()


def test_official_takes_the_first_of_a_permutation():
  records = tree({(1, 1): 4, (1, 2): 3})
  table = {"1": {"1": [[4, 1, 3, 2], [2, 3, 4, 1]]}, "2": {"1": [[1, 2, 3], [3, 2, 1]]}}
  assert official(records, table, trial=1, shots=2) == [
    "cam1/0001/0002.jpg",
    "cam1/0001/0003.jpg",
    "cam2/0001/0003.jpg",
    "cam2/0001/0002.jpg",
  ]
  assert len(official(records, table, trial=0, shots=10)) == 7


def test_official_passes_over_an_image_that_was_skipped():
  records = tree({(1, 1): 2})
  assert official(records, {"1": {"1": [[3, 2, 1]]}}, trial=0, shots=1) == ["cam1/0001/0002.jpg"]


@pytest.mark.parametrize("table", [{}, {"1": {}}, {"1": {"1": [[1, 2]] * 3}}])
def test_official_that_does_not_cover_the_trial(table):
  with pytest.raises(UserError, match="trials for identity 1 in camera 1, but trial 3 is needed"):
    official(tree({(1, 1): 2}), table, trial=3, shots=1)


def test_image_number():
  assert draws.image_number("cam1/0007/0012.jpg") == 12
  with pytest.raises(UserError, match=r"'cam1/front\.jpg'"):
    draws.image_number("cam1/front.jpg")
