"""Written trees have the layouts of SYSU-MM01, RegDB and LLCM to the letter."""

import re

import cv2
import numpy as np
import pytest
import scipy.io

from vireid_jax import synthesize
from vireid_jax.common.errors import UserError
from vireid_jax.data.synthetic import (
  MARKER,
  WorldSpec,
  render,
  synthesis,
  write_llcm,
  write_own,
  write_regdb,
  write_sysu_mm01,
)

SPEC = WorldSpec(3, 1, 2, images_per_camera=2, image_height=32, image_width=16, seed=3, missed=0.5)


@pytest.fixture(scope="module")
def sysu(tmp_path_factory):
  return write_sysu_mm01(tmp_path_factory.mktemp("sysu"), SPEC, masks=True)


@pytest.fixture(scope="module")
def regdb(tmp_path_factory):
  return write_regdb(tmp_path_factory.mktemp("regdb"), SPEC)


@pytest.fixture(scope="module")
def llcm(tmp_path_factory):
  return write_llcm(tmp_path_factory.mktemp("llcm"), SPEC)


def files(root, pattern):
  return sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))


def read_lines(path):
  return path.read_text(encoding="utf-8").splitlines()


def test_sysu_top_level(sysu):
  names = {path.name for path in sysu.iterdir()}
  assert names == {MARKER, "exp", "masks", *(f"cam{c}" for c in range(1, 7))}
  assert {path.name for path in (sysu / "exp").iterdir()} == {
    "train_id.txt",
    "val_id.txt",
    "test_id.txt",
    "rand_perm_cam.mat",
  }


def test_sysu_images_are_exactly_those_of_the_world(sysu):
  expected = sorted(f"cam{c}/{i:04d}/{n:04d}.jpg" for i, c, n in SPEC.images())
  assert files(sysu, "cam*/*/*") == expected
  assert files(sysu / "masks", "*/*/*") == [name.replace(".jpg", ".png") for name in expected]


def test_sysu_id_lists(sysu):
  for split in ("train", "val", "test"):
    (line,) = read_lines(sysu / f"exp/{split}_id.txt")
    assert tuple(map(int, line.split(","))) == SPEC.identities(split)


def test_sysu_pixels_survive_jpeg(sysu):
  identity, camera, index = next(SPEC.images())
  stored = cv2.imread(str(sysu / f"cam{camera}/{identity:04d}/{index:04d}.jpg"))[..., ::-1]
  rendered = render(SPEC, identity, camera, index).image
  assert np.abs(stored.astype(int) - rendered).mean() < 12
  assert stored.shape == (32, 16, 3)


def test_sysu_permutations_have_the_owners_cells(sysu):
  cameras = scipy.io.loadmat(sysu / "exp/rand_perm_cam.mat")["rand_perm_cam"]
  assert cameras.shape == (6, 1)
  assert cameras.dtype == object
  highest = max(SPEC.identities())
  for camera in range(1, 7):
    cell = cameras[camera - 1][0]
    assert cell.shape == (highest, 1)
    assert cell.dtype == object
    for identity in range(1, highest + 1):
      draws = cell[identity - 1][0]
      stored = len(list((sysu / f"cam{camera}/{identity:04d}").glob("*.jpg")))
      assert draws.dtype == np.uint8
      assert draws.shape == (10, stored)
      assert (np.sort(draws, axis=1) == np.arange(1, stored + 1)).all()


def test_marker_says_that_nobody_is_real(sysu):
  text = (sysu / MARKER).read_text(encoding="utf-8")
  assert "rendered by vireid_jax" in text
  assert "seed = 3" in text


def test_regdb_images(regdb):
  assert {path.name for path in regdb.iterdir()} == {MARKER, "Visible", "Thermal", "idx"}
  for folder, letter in (("Visible", "v"), ("Thermal", "t")):
    names = files(regdb, f"{folder}/*/*")
    assert len(names) == 6 * 10
    for name in names:
      assert re.fullmatch(rf"{folder}/(\d+)/(fe)?male_(front|back)_{letter}_\d{{5}}_\1\.bmp", name)
  assert cv2.imread(str(regdb / files(regdb, "Thermal/*/*")[0])).shape == (32, 16, 3)


def test_regdb_splits_halve_the_identities(regdb):
  assert len(files(regdb, "idx/*")) == 40
  halves = set()
  for split in range(1, 11):
    members = {}
    for part in ("train", "test"):
      for word, folder in (("visible", "Visible"), ("thermal", "Thermal")):
        rows = [line.split(" ") for line in read_lines(regdb / f"idx/{part}_{word}_{split}.txt")]
        assert len(rows) == 3 * 10
        assert all((regdb / path).is_file() and path.startswith(folder) for path, _ in rows)
        pairs = {(path.split("/")[1], int(label)) for path, label in rows}
        assert sorted(label for _, label in pairs) == [0, 1, 2]
        members[part, word] = frozenset(pairs)
      assert members[part, "visible"] == members[part, "thermal"]
    train, test = ({i for i, _ in members[part, "visible"]} for part in ("train", "test"))
    assert not train & test
    halves.add(frozenset(train))
  assert len(halves) > 1


def test_regdb_needs_an_even_number(tmp_path):
  odd = WorldSpec(2, 0, 1, images_per_camera=1, image_height=32, image_width=16)
  with pytest.raises(UserError, match="3 cannot be halved"):
    write_regdb(tmp_path / "odd", odd)
  assert not (tmp_path / "odd").exists()


def test_llcm_layout(llcm):
  assert {path.name for path in llcm.iterdir()} == {
    *(MARKER, "idx", "vis", "nir", "test_vis", "test_nir"),
  }
  assert sorted(path.name for path in (llcm / "test_vis").iterdir()) == [
    f"cam{camera}" for camera in range(1, 10)
  ]
  assert sorted(path.name for path in (llcm / "test_nir").iterdir()) == [
    f"cam{camera}" for camera in (1, 2, 4, 5, 6, 7, 8, 9)
  ]
  assert {path.name for path in (llcm / "idx").iterdir()} == {
    *("train_vis.txt", "train_nir.txt", "test_id.txt"),
  }


def test_llcm_train_lists(llcm):
  identities = sorted([*range(1, 7)])
  (line,) = read_lines(llcm / "idx/test_id.txt")
  test = [int(number) for number in line.split(",")]
  train = [identity for identity in identities if identity not in test]
  assert len(test) == 2
  for word in ("vis", "nir"):
    rows = [line.split(" ") for line in read_lines(llcm / f"idx/train_{word}.txt")]
    assert sorted(path for path, _ in rows) == files(llcm, f"{word}/*/*")
    for path, label in rows:
      folder, number = re.fullmatch(
        rf"{word}/(\d{{4}})/\1_c0([1-9])_s\d+_f\d+_{word}\.jpg", path
      ).groups()
      assert train[int(label)] == int(folder)
      assert word == "vis" or number != "3"


def test_llcm_test_folders_agree_with_the_file_names(llcm):
  names = files(llcm, "test_*/*/*/*")
  assert len(names) > 2 * 2 * 8
  for name in names:
    pattern = r"test_(vis|nir)/cam([1-9])/(\d{4})/\3_c0\2_s\d+_f\d+_\1\.jpg"
    assert re.fullmatch(pattern, name), name


def test_own_pictures_are_listed_in_a_table(tmp_path):
  root = write_own(tmp_path, SPEC)
  header, *lines = (root / "images.csv").read_text().splitlines()
  assert header == "path,identity,camera,modality,split"
  assert sorted(line.split(",")[0] for line in lines) == sorted(files(root, "pictures/*/*"))
  for line in lines:
    path, identity, camera, modality, split = line.split(",")
    assert re.fullmatch(rf"pictures/{modality}/0*{identity}_c{camera}_\d+\.jpg", path)
    assert int(identity) in SPEC.identities(split)
  assert len(lines) == len(list(SPEC.images()))


@pytest.mark.parametrize("write", [write_sysu_mm01, write_regdb, write_llcm, write_own])
def test_somebody_elses_folder_is_left_alone(tmp_path, write):
  (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
  with pytest.raises(UserError, match=r"not empty and has no SYNTHETIC\.txt"):
    write(tmp_path, SPEC)
  assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_sysu_needs_an_identity_to_validate_on(tmp_path):
  nobody = WorldSpec(2, 0, 1, images_per_camera=1, image_height=32, image_width=16)
  with pytest.raises(UserError, match="val_identities must be at least 1"):
    write_sysu_mm01(tmp_path / "tree", nobody)
  assert not (tmp_path / "tree").exists()


def test_a_file_in_the_way_is_named(tmp_path):
  (tmp_path / "here").write_text("", encoding="utf-8")
  with pytest.raises(UserError, match="is a file"):
    write_llcm(tmp_path / "here", SPEC)


def test_writing_again_leaves_nothing_of_the_last_tree(tmp_path):
  one = WorldSpec(1, 1, 2, images_per_camera=1, image_height=32, image_width=16)
  write_regdb(tmp_path, one)
  (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
  write_sysu_mm01(tmp_path, one)
  assert not (tmp_path / "Visible").exists()
  assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
  assert len(files(tmp_path, "cam*/*/*")) == len(list(one.images()))


def test_command_line_writes_a_tree(tmp_path, capsys):
  flags = ["--identities", "4", "--images_per_camera", "1", "--seed", "5", "--masks"]
  assert synthesize.main(["sysu_mm01", "--out", str(tmp_path / "tree"), *flags]) == 0
  assert "next: vireid prepare sysu_mm01 --manual_dir" in capsys.readouterr().out
  lists = [(tmp_path / f"tree/exp/{s}_id.txt").read_text() for s in ("train", "val", "test")]
  assert [len([n for n in text.strip().split(",") if n]) for text in lists] == [1, 1, 2]
  assert files(tmp_path / "tree", "masks/*/*/0001.png")


def test_command_line_writes_a_contact_sheet(tmp_path):
  out = tmp_path / "people.png"
  assert synthesize.main(["contact_sheet", "--out", str(out), "--identities", "3"]) == 0
  assert cv2.imread(str(out)).shape == (3 * (48 + 2), 12 * (24 + 2), 3)


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["sysu_mm1"], "did you mean 'sysu_mm01'"),
    (["llcm", "--preset", "smok"], "did you mean 'smoke'"),
    (["llcm", "--identities", "1"], "at least 3"),
    (["llcm", "--images_per_camera", "0"], "images_per_camera must be at least 1"),
    (["contact_sheet", "--identities", "0"], "at least 1"),
    (["contact_sheet"], "does not end in an image format"),
  ],
)
def test_command_line_errors_are_sentences(tmp_path, capsys, arguments, message):
  out = tmp_path / "out"
  assert synthesize.main([*arguments, "--out", str(out)]) == 1
  assert message in capsys.readouterr().err
  assert not out.exists()


def test_identities_are_shared_out_in_the_presets_proportions():
  def shares(identities):
    spec = synthesis.with_identities(WorldSpec(100, 16, 48, 10, 96, 48), identities)
    return spec.train_identities, spec.val_identities, spec.test_identities

  assert shares(41) == (25, 4, 12)
  assert shares(3) == (1, 1, 1)
