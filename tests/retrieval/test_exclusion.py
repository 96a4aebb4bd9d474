"""What a query's list leaves out, and cameras from paths and tables."""

import os
import pathlib

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.retrieval import exclusion
from vireid_jax.retrieval.cameras import open_cameras
from vireid_jax.retrieval.searcher import Labels, Searcher


@pytest.fixture
def site(tmp_path):
  """Pictures of two cameras in two folders, and a link to one of them."""
  for name in ("day/1_c1.png", "day/2_c2.png", "night/3_c1.png", "night/4.png"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(name)
  (tmp_path / "link_c9.png").symlink_to(tmp_path / "day" / "1_c1.png")
  os.link(tmp_path / "day" / "1_c1.png", tmp_path / "night" / "hard_c8.png")
  return tmp_path


def left_out(site, rules, cameras=None, query="day/1_c1.png"):
  """Returns the names in the gallery, everything in the site, that a query does not list."""
  names = sorted(
    path.relative_to(site).as_posix() for path in site.rglob("*.png") if path.is_file()
  )
  paths = [site / name for name in names]
  labels, warnings = exclusion.parse(rules, cameras).labels([site / query], paths)
  ones = np.ones((len(names), 2), np.float32)
  (found,) = Searcher(ones)(ones[:1], top=len(names), exclude=labels).lists()
  return sorted(set(names) - {names[row] for row, _ in found}), warnings


def test_same_file_leaves_out_all_names_of_the_query(site):
  same = ["day/1_c1.png", "link_c9.png", "night/hard_c8.png"]
  assert left_out(site, "same_file") == (same, [])
  assert left_out(site, "same_file", query="link_c9.png") == (same, [])
  assert left_out(site, "same_file", query="night/4.png") == (["night/4.png"], [])


def test_same_folder_leaves_out_what_is_beside_the_query(site):
  assert left_out(site, "same_folder") == (["day/1_c1.png", "day/2_c2.png"], [])
  here = os.path.relpath(site / "night" / ".." / "day")
  labels, _ = exclusion.parse("same_folder", None).labels(
    [pathlib.Path(here) / "1_c1.png"], [site / "day" / "2_c2.png", site / "night" / "4.png"]
  )
  assert (labels[0].queries[0] == labels[0].gallery).tolist() == [True, False]


def test_same_camera_by_pattern_warns_of_pictures_without_one(site):
  names, warnings = left_out(site, "same_camera", r"_c([0-9]+)\.")
  assert names == ["day/1_c1.png", "night/3_c1.png"]
  assert warnings == [
    f"no camera is known for 1 of 7 pictures (first: {site / 'night/4.png'}); same_camera leaves "
    "none of them out"
  ]


def test_same_camera_by_table_with_further_columns(site):
  table = site / "cameras.CSV"
  table.write_text(
    "identity;Camera;path\nx;gate;day/1_c1.png\nx;gate;night/4.png\ny;;link_c9.png\n"
  )
  names, warnings = left_out(site, "same_camera", str(table))
  assert names == ["day/1_c1.png", "night/4.png"] and "for 4 of 7 pictures" in warnings[0]


def test_rules_add_up(site):
  names, _ = left_out(site, "same_file, same_folder")
  assert names == ["day/1_c1.png", "day/2_c2.png", "link_c9.png", "night/hard_c8.png"]


def test_the_last_match_and_the_named_group_count():
  camera = open_cameras(r"/cam([0-9]+)/")
  assert camera(pathlib.Path("/data/cam1/day/cam22/a.png")) == "22"
  assert camera(pathlib.Path("/data/a.png")) is None
  named = open_cameras(r"([a-z]+)_(?P<camera>yard|gate)")
  assert named(pathlib.Path("/data/ann_yard.png")) == "yard"


@pytest.mark.parametrize(
  "rules, cameras, message",
  [
    ("same_person", None, r"unknown rule 'same_person'; .*"),
    ("same_fil", None, r"unknown rule 'same_fil'; did you mean 'same_file'"),
    ("", None, r"unknown rule ''; allowed: same_camera, same_file, same_folder"),
    ("same_file,", None, r"unknown rule ''"),
    ("same_camera", None, r"same_camera needs the camera of each picture; give --cameras PATTERN"),
    ("same_file", "_c(1)", r"--cameras='_c\(1\)' is not used; add --exclude same_camera"),
    (None, "_c(1)", r"--cameras='_c\(1\)' is not used"),
    ("same_camera", "_c(", r"--cameras='_c\(' is not a regular expression: .*such as '_c"),
    ("same_camera", "_c[0-9]", r"has no group; put the camera in brackets"),
    (
      "same_camera",
      "no.csv",
      r"--cameras: no.csv cannot be read: .*; give a table with the columns",
    ),
  ],
)
def test_wrong_rules_and_cameras_are_explained(rules, cameras, message):
  with pytest.raises(UserError, match=message):
    exclusion.parse(rules, cameras)


@pytest.mark.parametrize(
  "content, message",
  [
    ("", "has 0 columns 'path'"),
    ("path,place\na.png,1\n", "has 0 columns 'camera' in its first line; it needs one"),
    ("path,camera,camera\n", "has 2 columns 'camera'"),
    ("path,camera\na.png\n", "line 2 has 1 values, but the first line has 2 columns"),
    ("path,camera\na.png,1\n./a.png,2\n", r"line 3: .*a.png has the camera '2' here and '1' above"),
  ],
)
def test_wrong_tables_are_explained(tmp_path, content, message):
  (tmp_path / "table.csv").write_text(content)
  with pytest.raises(UserError, match=message):
    exclusion.parse("same_camera", str(tmp_path / "table.csv"))


def test_cameras_that_fit_no_picture_are_an_error(site):
  with pytest.raises(
    UserError, match=r"--cameras='_k\(1\)' gives no picture a camera \(first: .*1_c1"
  ):
    left_out(site, "same_camera", "_k(1)")


def test_lists_end_where_pictures_are_left_out_or_below_the_least_similarity():
  gallery = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
  labels = Labels(np.array([4, -1]), np.array([4, -1, -1]))
  found = Searcher(gallery)(gallery[:2], exclude=[labels], min_similarity=0.5)
  assert found.rows.tolist() == [[1, -1, -1], [1, 0, 2]]
  np.testing.assert_allclose(found.similarity, [[0.8, np.nan, np.nan], [1, 0.8, 0.6]], rtol=1e-6)
  assert [[row for row, _ in items] for items in found.lists()] == [[1], [1, 0, 2]]
  nothing = Searcher(gallery)(-gallery[:1], min_similarity=0.9)
  assert nothing.lists() == [[]] and nothing.rows.tolist() == [[-1, -1, -1]]
