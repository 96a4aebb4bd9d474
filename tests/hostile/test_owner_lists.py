"""The owners' lists, tables and folders: read to the end, checked against the images, and named."""

import re

import numpy as np
import owner_trees
import pytest
import scipy.io

from vireid_jax.common.errors import UserError
from vireid_jax.data import layout, preparing
from vireid_jax.data.layout import mat_file
from vireid_jax.data.prepared.source import Dataset
from vireid_jax.evaluators.protocols.sysu_mm01 import Protocol


@pytest.fixture
def sysu(tmp_path):
  return owner_trees.sysu(tmp_path / "sysu")


def refused(name, tree):
  with pytest.raises(UserError) as error:
    layout.read(name, tree)
  return str(error.value)


@pytest.mark.parametrize("text", ["1\n5\n9\n", "1,5\n9", "\ufeff1, 5,\r\n9,", "1\r5\r9", "1 5 9"])
def test_identities_are_read_to_the_end_of_the_file(sysu, text):
  (sysu / "exp/train_id.txt").write_bytes(text.encode())
  found = layout.read("sysu_mm01", sysu)
  assert {image.identity for image in found.images if image.split == "train"} == {1, 5, 9}


@pytest.mark.parametrize(
  "text, named",
  [
    ("1-5", "'1-5'"),
    ("1,0", "'0'"),
    ("1\n-3", "'-3'"),
    ("1,2147483648", "'2147483648'"),
    ("1," + "9" * 5000, r"'9{120}\.\.\. \(5000 letters\)'"),
    ("1,\u0665", "'\u0665'"),
    ("1,5\x1b[2J", r"'5\\x1b\[2J'"),
    ("", "lists no identity"),
    ("1,a,b,c", "the entry 'a', 'b', 'c'"),
  ],
)
def test_entries_that_are_no_identity_are_named(sysu, text, named):
  (sysu / "exp/train_id.txt").write_text(text, encoding="utf-8")
  assert re.search(named, refused("sysu_mm01", sysu))


@pytest.mark.parametrize(
  "data, said",
  [
    (b"1,5\n\xe4", r"train_id.txt, line 2: byte 0xe4 is not UTF-8"),
    ("1,5".encode("utf-16"), r"train_id.txt, line 1: byte 0xff is not UTF-8"),
    ("1,5".encode("utf-16-le"), r"train_id.txt, line 1: it contains a NUL byte"),
  ],
)
def test_lists_in_another_encoding_are_refused(sysu, data, said):
  (sysu / "exp/train_id.txt").write_bytes(data)
  assert said in refused("sysu_mm01", sysu)


LIST = "idx/train_visible_3.txt"


@pytest.mark.parametrize(
  "line, said",
  [
    ("Visible/1/x.bmp one", "line 7: 'Visible/1/x.bmp one' is not of the form"),
    ("Visible/1/x.bmp -1", "is not of the form 'relative/path label'"),
    ("Visible/1/x.bmp \u0661", "is not of the form 'relative/path label'"),
    ("../Visible/1/x.bmp 0", "is not of the form 'relative/path label'"),
    ("/etc/passwd 0", "is not of the form 'relative/path label'"),
    ("C:\\Visible\\1\\x.bmp 0", "is not of the form 'relative/path label'"),
    ("Thermal/1/x.bmp 0", "expected Visible/IDENTITY/FILE with a number for the identity"),
    ("Visible/\u0661/x.bmp 0", "expected Visible/IDENTITY/FILE with a number for the identity"),
    ("Visible/1/" + "x" * 5000 + ".bmp 0", "letters)"),
    ("Visible/1/\x1b[2J.bmp 0", r"there is no file Visible/1/\x1b[2J.bmp"),
  ],
)
def test_wrong_lines_of_an_image_list_are_named(tmp_path, line, said):
  tree = owner_trees.regdb(tmp_path)
  with (tree / LIST).open("a", encoding="utf-8") as file:
    file.write(line)
  assert said in refused("regdb", tree)


def test_an_image_that_is_listed_twice_is_named_with_both_lines(tmp_path):
  tree = owner_trees.regdb(tmp_path)
  lines = (tree / LIST).read_text().splitlines()
  (tree / LIST).write_text("\r\n".join([*lines, lines[1].replace("/", "\\")]))
  name = lines[1].split()[0]
  assert f"line 7: {name} is listed already (line 2)" in refused("regdb", tree)


def test_all_wrong_lines_are_told_up_to_twenty(tmp_path):
  tree = owner_trees.regdb(tmp_path)
  with (tree / LIST).open("a") as file:
    file.write("nonsense\n" * 25)
  said = refused("regdb", tree)
  assert "25 problems" in said and said.count("'nonsense'") == 20 and "and 5 more" in said


def test_llcm_lists_name_images_of_their_own_folder(tmp_path):
  tree = owner_trees.llcm(tmp_path)
  nir = (tree / "idx/train_nir.txt").read_text().splitlines()[0]
  with (tree / "idx/train_vis.txt").open("a") as file:
    file.write(f"\n{nir}")
  assert "idx/train_vis.txt lists images outside of vis/" in refused("llcm", tree)


@pytest.mark.parametrize("camera", ["c00", "c10", "c99", "c"])
def test_llcm_cameras_are_one_to_nine(tmp_path, camera):
  tree = owner_trees.llcm(tmp_path)
  name = f"vis/0001/0001_{camera}_x.jpg"
  owner_trees.picture(tree / name, 0)
  with (tree / "idx/train_vis.txt").open("a") as file:
    file.write(f"\n{name} 0")
  assert "a camera from 1 to 9" in refused("llcm", tree)


def test_folders_of_unknown_cameras_are_told(tmp_path, sysu):
  (sysu / "cam01/0001").mkdir(parents=True)
  (sysu / "Cam7").mkdir()
  (warning,) = layout.read("sysu_mm01", sysu).warnings
  assert warning == "folders of unknown cameras, left out: Cam7, cam01"
  tree = owner_trees.llcm(tmp_path / "llcm")
  (tree / "test_nir/cam3").mkdir()
  (warning,) = layout.read("llcm", tree).warnings
  assert warning == "folders of unknown cameras, left out: test_nir/cam3"


FOLDERS = {"sysu_mm01": owner_trees.sysu, "regdb": owner_trees.regdb, "llcm": owner_trees.llcm}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_folder_that_would_do_is_named_from_above_and_below(tmp_path, name):
  tree = FOLDERS[name](tmp_path / "copies/data/tree")
  below = sorted(path for path in tree.iterdir() if path.is_dir())[0]
  for wrong in (tmp_path / "copies", tmp_path / "copies/data", below):
    assert f"{tree} has one: pass that folder instead" in refused(name, wrong)


def test_a_folder_of_ones_own_that_would_do_is_named(tmp_path):
  tree = owner_trees.own(tmp_path / "data/mine", [("ann", "train"), ("joe", "test")])
  for wrong in (tmp_path, tree / "visible"):
    assert f"{tree} has one of them: pass that folder instead" in refused("own", wrong)


def test_folders_in_two_places_are_both_named(sysu):
  (sysu / "ori_data").mkdir()
  for camera in range(1, 7):
    (sysu / f"cam{camera}").rename(sysu / f"ori_data/cam{camera}")
  assert f"cam1/ is in {sysu / 'ori_data'}: move it here" in refused("sysu_mm01", sysu)
  assert f"exp/ is in {sysu}: move it here" in refused("sysu_mm01", sysu / "ori_data")


@pytest.mark.parametrize("root", ["x" * 5000, "a\0b", "~nobody_of_this_name/x", ""])
def test_roots_that_cannot_be_a_folder_are_refused(root, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in (*FOLDERS, "own"):
    assert refused(name, root)


def change_table(tree, change, camera=4, identity=3):
  """Changes the table of one camera and identity in the official file."""
  path = tree / "exp/rand_perm_cam.mat"
  cells = scipy.io.loadmat(path)["rand_perm_cam"]
  cell = cells[camera - 1, 0]
  cell[identity - 1, 0] = change(cell[identity - 1, 0].astype(float))
  scipy.io.savemat(path, {"rand_perm_cam": cells})


def repeated(table):
  return np.vstack([table, table[:1]])


def not_a_number(table):
  table[4, 1] = np.nan
  return table


TABLES = {
  "numbers from 0": (
    lambda table: table - 1,
    "row 1 is .*, expected every number from 1 to 3 once",
  ),
  "rows of ones": (np.ones_like, "row 1 is 1, 1, 1, expected every number"),
  "negative": (np.negative, "row 1 is -.*, expected every number"),
  "NaN": (not_a_number, "row 5 is .*nan.*, expected every number"),
  "halves": (lambda table: table + 0.5, "row 1 is .*\\.5"),
  "one row": (lambda table: table[:1], "it has 1 x 3 numbers, expected 10 rows"),
  "eleven rows": (repeated, "it has 11 x 3 numbers, expected 10 rows"),
  "transposed": (np.transpose, "it has 3 x 10 numbers, expected 10 rows"),
  "three dimensions": (lambda table: table[..., None] * np.ones(2), r"shape \(10, 3, 2\)"),
  "a column less": (
    lambda table: np.sort(table)[:, :2],
    r"images 1 to 2, and there are 3 \(also image 3",
  ),
  "a column more": (
    lambda table: np.insert(table, 0, 4, 1),
    r"1 to 4, and there are 3 \(no image 4",
  ),
  "none": (lambda table: table[:, :0], "images 1 to 0, and there are 3"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_official_draws_that_do_not_fit_the_images_are_refused(sysu, kind):
  change, said = TABLES[kind]
  change_table(sysu, change)
  found = refused("sysu_mm01", sysu)
  assert re.search(f"identity 3, camera 4: .*{said}", found)
  assert "or remove the file to do without the official draws" in found


def test_every_wrong_table_has_its_line(sysu):
  for camera in (1, 2, 6):
    change_table(sysu, lambda table: table - 1, camera=camera)
  found = refused("sysu_mm01", sysu)
  assert "3 problems" in found
  assert re.findall(r"\n  identity 3, camera (\d):", found) == ["1", "2", "6"]


def test_images_without_a_number_and_with_a_second_file_of_one_are_named(sysu):
  owner_trees.picture(sysu / "cam1/0003/2.png", 0)
  said = r"identity 3, camera 1: .* there are 4 (more than one image 2)"
  assert said.partition(".*")[2] in refused("sysu_mm01", sysu)
  (sysu / "cam1/0003/2.png").rename(sysu / "cam1/0003/two.png")
  assert "not named by a number from 1" in refused("sysu_mm01", sysu)


@pytest.mark.parametrize(
  "change", [lambda rows: [[n - 1 for n in row] for row in rows], lambda _: 7]
)
def test_wrong_draws_of_a_data_set_prepared_before_are_not_evaluated(sysu, tmp_path, change):
  preparing.prepare("sysu_mm01", data_dir=tmp_path / "data", manual_dir=sysu)
  dataset = Dataset("sysu_mm01", tmp_path / "data")
  test, tables = dataset.load("test"), dataset.metadata["gallery_permutations"]
  features = np.random.default_rng(0).normal(size=(len(test), 4))
  good = Protocol(shots=1).evaluate(features, test.records, dataset.metadata)
  assert good["all/1-shot/official"].trials
  tables["1"]["3"] = change(tables["1"]["3"])
  found = Protocol(shots=1).evaluate(features, test.records, dataset.metadata)
  assert "draws stored with the data set are wrong: identity 3, camera 1" in (
    found["all/1-shot/official"].not_run
  )
  assert found["all/1-shot/random_choice"].trials


@pytest.mark.parametrize(
  "data", [b"", b"x" * 200, b"MATLAB 5.0" + b" " * 116 + b"\0\1IM" + b"\xff" * 50]
)
def test_a_damaged_mat_file_is_told(sysu, data):
  (sysu / "exp/test_id.mat").write_bytes(data)
  (warning,) = layout.read("sysu_mm01", sysu).warnings
  assert warning == "test_id.mat cannot be read and was not compared"
  (sysu / "exp/rand_perm_cam.mat").write_bytes(data)
  assert "rand_perm_cam.mat is not the official permutation file" in refused("sysu_mm01", sysu)


def same(one, other):
  assert one.shape == other.shape and (one.dtype == object) == (other.dtype == object)
  if one.dtype != object:
    np.testing.assert_array_equal(one, other)
  for mine, theirs in zip(one.ravel(), other.ravel(), strict=True) if one.dtype == object else ():
    same(mine, theirs)


@pytest.mark.parametrize("compressed", [True, False])
def test_cells_and_numbers_are_read_as_scipy_reads_them(tmp_path, compressed):
  cell = np.empty((2, 3), object)
  for place in range(6):
    cell.ravel()[place] = np.arange(place * 2, dtype=np.uint8).reshape(2, place)
  values = {
    "skipped": "a text",
    "cell": cell,
    "numbers": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "fractions": np.array([[0.5, -np.inf, 3e9]]),
    "large": np.array([[2**40]]),
    "empty": np.zeros((10, 0)),
  }
  path = tmp_path / "x.mat"
  scipy.io.savemat(path, values, do_compression=compressed)
  for name in list(values)[1:]:
    same(mat_file.read(path.read_bytes(), name), scipy.io.loadmat(path)[name])
