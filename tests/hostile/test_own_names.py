"""One person in two spellings is never stored as two, nor two people under one number."""

import unicodedata

import owner_trees
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.data import layout
from vireid_jax.data.layout import common, own_names

table = owner_trees.own


def refused(root):
  with pytest.raises(UserError) as error:
    layout.read("own", root)
  return str(error.value)


@pytest.mark.parametrize(
  "first, second",
  [
    ("1", "01"),
    ("1", "\u0661"),  # Arabic
    ("12", "\uff11\uff12"),  # full width
    ("ann", "Ann"),
    ("René", unicodedata.normalize("NFD", "René")),
    ("ann", "a\u200bnn"),
    ("ann lee", "ann  lee"),
    ("ann lee", "ann\u00a0lee"),
    ("STRASSE", "straße"),
    ("001", "0001"),
  ],
)
def test_two_spellings_of_one_identity_are_refused(tmp_path, first, second):
  said = refused(table(tmp_path, [(first, "train"), (second, "test"), ("x9", "test")]))
  assert "line 4: identity" in said and "(line 2) would be the same" in said
  assert said.isprintable()


def test_two_spellings_of_one_camera_are_refused(tmp_path):
  root = table(tmp_path, [("1", "train"), ("2", "test")], cameras=("1", "01"))
  assert "line 3: camera '01' and '1' (line 2) would be the same" in refused(root)


def test_folders_are_names_too(tmp_path):
  for modality in ("visible", "infrared"):
    for name in ("1", "01", "2"):
      owner_trees.picture(tmp_path / modality / name / "a.png", 0)
  assert "identity '1' and '01' (visible/01/a.png) would be the same" in refused(tmp_path)


def test_a_name_without_a_visible_letter_is_refused(tmp_path):
  said = refused(table(tmp_path, [("\u200b", "train"), ("b", "test")]))
  assert r"line 2: the identity '\u200b' has no visible letter" in said


def test_numbers_keep_their_value_and_their_spelling(tmp_path):
  found = layout.read("own", table(tmp_path, [("007", "train"), ("12", "test")]))
  assert [image.identity for image in found.images] == [7, 7, 12, 12]
  assert found.metadata["identity_names"] == {"7": "007"}


def test_digits_of_other_alphabets_are_names():
  assert own_names.numbers(["\u0663", "\u0661", "\u0663"]) == (
    [2, 1, 2],
    {"1": "\u0661", "2": "\u0663"},
  )
  assert own_names.numbers(["3000000000", "5"]) == ([1, 2], {"1": "3000000000", "2": "5"})
  assert own_names.numbers(["0", "5"])[0] == [1, 2]


@pytest.mark.parametrize(
  "text, value",
  [
    ("7", 7),
    ("0007", 7),
    ("2147483647", 2**31 - 1),
    ("2147483648", None),
    ("0", None),
    ("-1", None),
    ("+1", None),
    (" 1", None),
    ("1\n", None),
    ("\u0661", None),
    ("\u00b2", None),
    ("1_0", None),
    ("1" * 5000, None),
    ("", None),
  ],
)
def test_only_plain_digits_are_numbers(text, value):
  assert common.number(text) == value


def test_a_number_with_two_folders_is_refused_in_the_owners_layouts(tmp_path):
  tree = owner_trees.sysu(tmp_path / "sysu")
  owner_trees.picture(tree / "cam1/1/0001.jpg", 0)
  with pytest.raises(UserError, match="cam1/0001 and cam1/1 are both identity 1"):
    layout.read("sysu_mm01", tree)
  tree = owner_trees.regdb(tmp_path / "regdb")
  owner_trees.picture(tree / "Visible/01/x.bmp", 0)
  with (tree / "idx/train_visible_3.txt").open("a") as file:
    file.write("Visible/01/x.bmp 0\n")
  with pytest.raises(UserError, match="Visible/01 and Visible/1 are both identity 1"):
    layout.read("regdb", tree)
  tree = owner_trees.llcm(tmp_path / "llcm")
  (tree / "test_nir/cam1/12").mkdir()
  with pytest.raises(UserError, match="are both identity 12"):
    layout.read("llcm", tree)


def test_names_that_another_system_cannot_tell_apart_are_refused(tmp_path):
  tree = owner_trees.sysu(tmp_path / "tree")
  owner_trees.picture(tree / "cam1/0001/0002.JPG", 0)
  message = (
    r"cam1/0001/0002.jpg and cam1/0001/0002.JPG differ only in case or in the form of accents"
  )
  with pytest.raises(UserError, match=message):
    layout.read("sysu_mm01", tree)
