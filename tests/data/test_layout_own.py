"""One's own pictures: both layouts, how they are split, and everything that is refused."""

import numpy as np
import owner_trees
import pytest
from PIL import Image

from vireid_jax import prepare
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data import layout, preparing
from vireid_jax.data.prepared.source import Dataset

HEADER = "path,identity,camera,modality,split"
PEOPLE = {"ann": "train", "bob": "train", "eve": "val", "joe": "test", "kim": "test"}
NAMES = {str(number): name for number, name in enumerate(PEOPLE, 1)}


def table(root, lines, header=HEADER):
  root.mkdir(parents=True, exist_ok=True)
  (root / "images.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
  return root


def people(root):
  """Two pictures per person and modality; returns the lines of the table."""
  lines = []
  for seed, (name, split) in enumerate(PEOPLE.items()):
    for camera, modality in (("gate", "visible"), ("yard", "infrared")):
      for number in range(2):
        path = f"{modality}/{name} {number}.png"
        owner_trees.picture(root / path, 100 * seed + number)
        lines.append(f"{path},{name},{camera},{modality},{split}")
  return lines


def folders(root, names=PEOPLE, *, split=False, camera=False):
  for seed, name in enumerate(names):
    for modality in ("visible", "infrared"):
      place = root / (names[name] if split else ".") / modality / name / ("c1" if camera else ".")
      owner_trees.picture(place / "1.JPG", seed)
  return root


def test_a_table_is_listed_with_names_as_numbers(tmp_path):
  found = layout.read("own", table(tmp_path, people(tmp_path)))
  assert found.splits == ("train", "val", "test")
  assert found.metadata["identity_names"] == NAMES
  assert found.metadata["camera_names"] == {"1": "gate", "2": "yard"}
  assert found.metadata["split_by"] == "table" and found.warnings == ()
  first = found.images[0]
  assert (first.file_name, first.identity, first.camera) == ("visible/ann 0.png", 1, 1)
  assert [image.identity for image in found.images if image.split == "test"] == [4] * 4 + [5] * 4
  assert {image.camera for image in found.images if image.modality == INFRARED} == {2}


def test_numbers_stay_numbers_and_spreadsheets_are_understood(tmp_path):
  lines = [line.replace(",ann,", ",12,").replace(",bob,", ",7,") for line in people(tmp_path)]
  for name, number in (("eve", 1), ("joe", 2), ("kim", 3)):
    lines = [line.replace(f",{name},", f",{number},") for line in lines]
  lines = [line.replace("visible,", "Visible,").replace(",", ";") for line in lines]
  table(tmp_path, [*lines, ";;;;"], "\ufeff" + HEADER.replace(",", "; ").upper())
  found = layout.read("own", tmp_path)
  assert {image.identity for image in found.images if image.split == "train"} == {12, 7}
  assert found.metadata["identity_names"] == {}


def test_without_a_split_halves_are_made_that_do_not_depend_on_the_order(tmp_path):
  lines = [line.rpartition(",")[0] for line in people(tmp_path)]
  header = HEADER.rpartition(",")[0]
  first = layout.read("own", table(tmp_path, lines, header))
  again = layout.read("own", table(tmp_path, lines[::-1], header))
  split = {image.identity: image.split for image in first.images}
  assert split == {image.identity: image.split for image in again.images}
  assert sorted(split.values()) == ["test"] * 2 + ["train"] * 3
  assert first.metadata["split_by"] == "halves"


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("camera", [True, False])
def test_folders_need_no_table(tmp_path, split, camera):
  found = layout.read("own", folders(tmp_path, split=split, camera=camera))
  assert len(found.images) == 10
  assert found.metadata["split_by"] == ("folders" if split else "halves")
  cameras = {(image.modality, image.camera) for image in found.images}
  assert cameras == ({(VISIBLE, 1), (INFRARED, 1)} if camera else {(VISIBLE, 1), (INFRARED, 2)})


def first_line(change):
  """Returns a function that changes the first line of a list."""
  return lambda lines: [change(lines[0]), *lines[1:]]


@pytest.mark.parametrize(
  "change, message",
  [
    (
      first_line(lambda x: x.replace("ann 0", "amy 0")),
      r"line 2: there is no file visible/amy 0.png",
    ),
    (first_line(lambda x: x.replace(",visible", ",visibel")), "line 2: unknown modality 'visibel'"),
    (first_line(lambda x: x.replace("train", "trian")), "line 2: unknown split 'trian'; did you"),
    (
      first_line(lambda x: x.replace("train", "test")),
      "identity 'ann' is in 'train' and in 'test'",
    ),
    (first_line(lambda x: x.replace("gate", "")), "line 2: its camera is empty"),
    (first_line(lambda x: x + ",more"), "line 2: it has more or fewer values"),
    (first_line(lambda x: "../" + x), "line 2: the path .* leaves the folder"),
    (lambda lines: [*lines, lines[0]], r"line 22: visible/ann 0.png is listed already .*line 2"),
    (lambda lines: [], "lists no picture"),
    (lambda lines: lines[2:], "1 identities for training have only infrared pictures: ann"),
    (lambda lines: [x for x in lines if "test" not in x], "the split 'test' has no image"),
    (
      lambda lines: [x for x in lines if ",test" not in x or "visible" in x],
      "no identity for testing has been seen in both modalities",
    ),
  ],
)
def test_what_would_make_a_run_meaningless_is_refused(tmp_path, change, message):
  table(tmp_path, change(people(tmp_path)))
  with pytest.raises(UserError, match=message):
    layout.read("own", tmp_path)


def test_missing_columns_and_folders_are_named(tmp_path):
  people(tmp_path)
  table(tmp_path, [], "path,person,modality")
  with pytest.raises(UserError, match="no column 'identity' in its first line"):
    layout.read("own", tmp_path)
  table(tmp_path, [], "path,identity,modality,cam")
  with pytest.raises(UserError, match="unknown column 'cam'; did you mean 'camera'"):
    layout.read("own", tmp_path)
  (tmp_path / "images.csv").unlink()
  with pytest.raises(UserError, match=r"has no picture .* in the folders of identities"):
    layout.read("own", tmp_path)
  with pytest.raises(UserError, match=r"has no folder visible/, and .* no table images.csv"):
    layout.read("own", tmp_path / "visible")
  with pytest.raises(UserError, match="is not a folder"):
    layout.read("own", tmp_path / "nowhere")


def test_a_test_identity_of_one_modality_is_a_warning(tmp_path):
  lines = [line for line in people(tmp_path) if "joe" not in line or "visible" in line]
  (warning,) = layout.read("own", table(tmp_path, lines)).warnings
  assert "only visible images of identities 3" not in warning
  assert "only visible images of identities 4" in warning


def test_prepared_it_holds_pictures_and_masks_of_the_table(tmp_path):
  root = tmp_path / "tree"
  lines = []
  for number, line in enumerate(people(root)):
    path = root / f"silhouettes/{number}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((24, 12), 255, np.uint8)).save(path)
    lines.append(f"{line},silhouettes/{number}.png")
  table(root, lines, f"{HEADER},mask")
  preparing.prepare("own", data_dir=tmp_path / "data", manual_dir=root)
  dataset = Dataset("own", tmp_path / "data")
  assert dataset.split_names() == ["train", "val", "test"]
  images = dataset.load("train", masks=True)
  assert images.records.name.tolist()[0] == "visible/ann 0.png" and len(images) == 8
  assert images.encoded[0] == (root / "visible/ann 0.png").read_bytes()
  assert dataset.metadata["identity_names"] == NAMES
  assert not dataset.is_synthetic


def test_pictures_of_more_than_eight_bits_are_refused(tmp_path, capsys):
  root = tmp_path / "tree"
  table(root, people(root))
  Image.fromarray(np.zeros((24, 12), np.uint16)).save(root / "infrared/ann 0.png")
  arguments = ["own", "--manual_dir", str(root), "--data_dir", str(tmp_path / "data")]
  assert prepare.main(arguments) == 1
  said = capsys.readouterr().err
  assert "infrared/ann 0.png (its pixels have more than 8 bits" in said
