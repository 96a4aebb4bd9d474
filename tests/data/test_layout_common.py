"""The pieces that all readers of the owners' layouts share."""

import pathlib

import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data.layout import common
from vireid_jax.data.layout.common import Group, Image


def _image(identity, modality, split="train", camera=1):
  return Image(pathlib.Path("x"), identity, camera, modality, f"{identity}/{modality}", split)


IMAGES = [
  _image(1, VISIBLE),
  _image(1, INFRARED, camera=3),
  _image(2, VISIBLE),
  _image(2, VISIBLE, camera=2),
  _image(3, INFRARED, "test", 3),
]


@pytest.mark.parametrize(
  ("group", "expected"),
  [
    (Group("all"), (5, 3)),
    (Group("visible", modality=VISIBLE), (3, 2)),
    (Group("train", splits=("train",)), (4, 2)),
    (Group("camera 3 in test", splits=("test",), cameras=(3,)), (1, 1)),
    (Group("nothing", splits=("test",), modality=VISIBLE), (0, 0)),
  ],
)
def test_a_group_counts_its_images_and_identities(group, expected):
  assert group.count(IMAGES) == expected


def test_only_counts_that_differ_are_warned_about():
  groups = [Group("right", 5, 3), Group("wrong", 4_120, 3), Group("open", None, 7)]
  assert common.count_warnings(IMAGES, groups) == [
    "wrong: expected 4,120 images, found 5",
    "open: expected 7 identities, found 3",
  ]


def test_identities_of_one_modality_are_named():
  warnings = common.one_modality_warnings(IMAGES, {"train": [1, 2], "test": [3]}, "so what")
  assert warnings == [
    "train: only visible images of identities 2; so what",
    "test: only infrared images of identities 3; so what",
  ]


def test_identity_lists_are_sorted_and_tolerate_spaces(tmp_path):
  path = tmp_path / "ids.txt"
  path.write_bytes(b"\xef\xbb\xbf7, 2,11,\r\n3\r4\n\n")
  assert common.read_identities(path) == [2, 3, 4, 7, 11]


@pytest.mark.parametrize(("text", "named"), [("1,x2,3", "'x2'"), ("", "no identity"), ("0", "'0'")])
def test_a_malformed_identity_list_is_refused(tmp_path, text, named):
  path = tmp_path / "ids.txt"
  path.write_text(text)
  with pytest.raises(UserError, match=named):
    common.read_identities(path)


def test_listings_accept_windows_line_ends_and_separators(tmp_path):
  path = tmp_path / "list.txt"
  path.write_bytes(b"Visible\\1\\a b.bmp 0\r\n\r\n./Visible/2/c.bmp 1\r\n")
  assert common.read_listing(path) == [("Visible/1/a b.bmp", 0), ("Visible/2/c.bmp", 1)]


def test_a_malformed_listing_is_refused_with_its_line(tmp_path):
  path = tmp_path / "list.txt"
  path.write_text("a/b.jpg 0\na/c.jpg\n")
  with pytest.raises(UserError, match=r"line 2: 'a/c\.jpg'"):
    common.read_listing(path)


def test_hidden_and_other_files_are_no_images(tmp_path):
  for name in ("b.jpg", "a.JPG", "._a.jpg", "Thumbs.db", "c.png"):
    (tmp_path / name).touch()
  assert common.image_files(tmp_path) == ["a.JPG", "b.jpg", "c.png"]
