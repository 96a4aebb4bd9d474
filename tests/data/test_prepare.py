"""The prepare command: what it refuses, what it leaves behind, what it says."""

import json
import pathlib
import re
import subprocess
import sys

import owner_trees
import pytest

from vireid_jax import config as config_lib
from vireid_jax import prepare
from vireid_jax.common.errors import UserError
from vireid_jax.data import preparing, synthetic
from vireid_jax.data.prepared import location


@pytest.fixture
def tree(tmp_path):
  return owner_trees.regdb(tmp_path / "tree")


@pytest.fixture
def data(tmp_path):
  return tmp_path / "data"


def _truncate(path: pathlib.Path) -> None:
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])


def _contents(folder: pathlib.Path) -> list[str]:
  return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_corrupt_images_are_all_named_and_refused(tmp_path, data, capsys):
  tree = owner_trees.sysu(tmp_path / "tree")
  _truncate(tree / "cam1/0003/0002.jpg")
  (tree / "cam6/0009/0001.jpg").write_bytes(b"")
  arguments = ["sysu_mm01", "--manual_dir", str(tree), "--data_dir", str(data)]
  assert prepare.main(arguments) == 1
  said = capsys.readouterr().err
  assert "error: 2 of 102 images" in said
  assert "cam1/0003/0002.jpg (damaged: " in said
  assert "cam6/0009/0001.jpg" in said
  assert "--skip_corrupt" in said
  assert "Traceback" not in said
  assert _contents(data) == []


def test_corrupt_images_are_dropped_and_counted_on_request(tmp_path, data, capsys):
  tree = owner_trees.sysu(tmp_path / "tree")
  _truncate(tree / "cam1/0003/0002.jpg")
  folder = preparing.prepare("sysu_mm01", data_dir=data, manual_dir=tree, skip_corrupt=True)
  metadata = json.loads((folder / "metadata.json").read_text())
  assert metadata["skipped"] == ["cam1/0003/0002.jpg"]
  # The owner's image numbers stay as they are: the draws still name the missing one.
  assert sorted(metadata["gallery_permutations"]["1"]["3"][0]) == [1, 2, 3]
  splits = json.loads((folder / "dataset_info.json").read_text())["splits"]
  counts = {split["name"]: sum(map(int, split["shardLengths"])) for split in splits}
  assert counts == {"train": 54, "val": 15, "test": 32}
  assert "1 corrupt images left out" in capsys.readouterr().out


def test_a_truncated_bmp_is_corrupt(tree, data):
  _truncate(tree / "Thermal/2/male_back_t_00001_2.bmp")
  with pytest.raises(UserError, match="1 of 24 images"):
    preparing.prepare("regdb", data_dir=data, manual_dir=tree)


def test_a_split_of_corrupt_images_only_is_refused(tmp_path, data):
  tree = owner_trees.sysu(tmp_path / "tree")
  for path in tree.glob("cam*/0002/*.jpg"):  # the only identity of val
    _truncate(path)
  with pytest.raises(UserError, match="split 'val'"):
    preparing.prepare("sysu_mm01", data_dir=data, manual_dir=tree, skip_corrupt=True)


def test_a_prepared_data_set_is_kept_unless_overwritten(tree, data, capsys):
  folder = preparing.prepare("regdb", data_dir=data, manual_dir=tree)
  info = folder / "dataset_info.json"
  (folder / "trace").touch()
  assert prepare.main(["regdb", "--data_dir", str(data)]) == 0  # needs no manual_dir any more
  assert "already prepared" in capsys.readouterr().err
  assert (folder / "trace").exists()
  again = preparing.prepare("regdb", data_dir=data, manual_dir=tree, overwrite=True)
  assert again == folder
  assert info.is_file()
  assert not (folder / "trace").exists()
  assert _contents(data) == ["regdb"]


def test_an_overwrite_that_fails_keeps_the_old_data_set(tree, data):
  folder = preparing.prepare("regdb", data_dir=data, manual_dir=tree)
  _truncate(tree / "Visible/1/male_back_v_00000_1.bmp")
  with pytest.raises(UserError):
    preparing.prepare("regdb", data_dir=data, manual_dir=tree, overwrite=True)
  assert location.dataset_folder("regdb", data) == folder


def test_an_interruption_leaves_nothing_that_looks_complete(tree, data, monkeypatch, capsys):
  builder_class, _ = preparing.find_builder("regdb")
  stored = builder_class._bytes

  def interrupted(self, images):
    yield from stored(self, images[:5])
    raise KeyboardInterrupt

  monkeypatch.setattr(builder_class, "_bytes", interrupted)
  arguments = ["regdb", "--manual_dir", str(tree), "--data_dir", str(data)]
  assert prepare.main(arguments) == 75
  assert "interrupted" in capsys.readouterr().err
  assert _contents(data) == []
  with pytest.raises(UserError, match=r"vireid prepare regdb --manual_dir DIR"):
    location.dataset_folder("regdb", data)


KILLED = """
import os, sys
from vireid_jax import config as config_lib
from vireid_jax import prepare
from vireid_jax.data import preparing
builder_class, _ = preparing.find_builder("regdb")
builder_class._bytes = lambda *_: os._exit(9)
prepare.main(["regdb", "--manual_dir", sys.argv[1], "--data_dir", sys.argv[2]])
"""


def test_a_killed_run_leaves_nothing_that_looks_complete(tree, data):
  child = subprocess.run([sys.executable, "-c", KILLED, tree, data], capture_output=True)
  assert child.returncode == 9
  (leftover,) = _contents(data)
  assert leftover.startswith(".incomplete-")
  with pytest.raises(UserError):
    location.dataset_folder("regdb", data)
  assert preparing.prepare("regdb", data_dir=data, manual_dir=tree) == data / "regdb/1.0.0"


def test_the_faster_of_two_processes_wins(tree, data, monkeypatch, capsys):
  build = preparing._build

  def overtaken(*arguments):
    built = build(*arguments)
    monkeypatch.setattr(preparing, "_build", build)
    preparing.prepare("regdb", data_dir=data, manual_dir=tree)
    (data / "regdb/1.0.0/trace").touch()
    return built

  monkeypatch.setattr(preparing, "_build", overtaken)
  folder = preparing.prepare("regdb", data_dir=data, manual_dir=tree)
  assert (folder / "trace").exists()
  assert "another process" in capsys.readouterr().err


@pytest.mark.parametrize(
  ("name", "hint"),
  [
    ("sysu", "did you mean 'sysu_mm01'"),
    ("regdb/1", "did you mean 'regdb'"),
    ("vireid_synthetic/smok", "did you mean 'vireid_synthetic/smoke'"),
    ("vireid_synthetic", "vireid_synthetic/quick"),
  ],
)
def test_a_wrong_name_gets_the_nearest(name, hint, data, capsys):
  assert prepare.main([name, "--data_dir", str(data)]) == 1
  assert hint in capsys.readouterr().err


def test_the_owners_files_have_to_be_pointed_at(data):
  with pytest.raises(UserError, match=r"(?s)needs --manual_dir.*agreement.*test_nir/"):
    preparing.prepare("llcm", data_dir=data)


def test_a_rendered_data_set_takes_no_manual_dir(data):
  with pytest.raises(UserError, match="is rendered"):
    preparing.prepare("vireid_synthetic/smoke", data_dir=data, manual_dir="x")


def test_a_changed_preset_is_rendered_again(data, monkeypatch, capsys):
  spec = synthetic.WorldSpec(1, 1, 1, images_per_camera=1, image_height=24, image_width=12)
  monkeypatch.setitem(synthetic.PRESETS, "smoke", spec)
  name = "vireid_synthetic/smoke"
  preparing.prepare(name, data_dir=data)
  preparing.prepare(name, data_dir=data)
  assert "already prepared" in capsys.readouterr().err
  other = synthetic.WorldSpec(1, 1, 1, images_per_camera=2, image_height=24, image_width=12)
  monkeypatch.setitem(synthetic.PRESETS, "smoke", other)
  folder = preparing.prepare(name, data_dir=data)
  assert "rendering it again" in capsys.readouterr().err
  assert json.loads((folder / "metadata.json").read_text())["world"]["images_per_camera"] == 2


def test_a_place_that_cannot_be_written_is_refused(tree, tmp_path):
  (tmp_path / "file").touch()
  with pytest.raises(UserError, match="cannot write to"):
    preparing.prepare("regdb", data_dir=tmp_path / "file", manual_dir=tree)


RENDERED = [f"vireid_synthetic/{preset}" for preset in synthetic.PRESETS]


@pytest.mark.parametrize("name", ["sysu_mm01", "regdb", "llcm", "own", *RENDERED])
def test_the_next_step_trains_on_what_was_prepared(name, tmp_path):
  command = preparing._train_command(name, tmp_path)
  (config,) = re.findall(r"--config (\S+)", command)
  overrides = re.findall(r"--config\.\S+", command)
  path = pathlib.Path(__file__).parents[2] / config
  assert config_lib.load(str(path), overrides).data.name == name


def test_warnings_and_counts_are_shown_for_a_real_tree(tmp_path, data, capsys):
  tree = owner_trees.regdb(tmp_path / "real", synthetic=False)
  preparing.prepare("regdb", data_dir=data, manual_dir=tree)
  said = capsys.readouterr()
  assert "warning: all, visible: expected 4,120 images, found 12" in said.err
  assert "12 / 4,120" in said.out
  assert "4 / 412" in said.out
  assert "configs/mun_regdb.py" in said.err
  assert "rendered tree" not in said.err


def test_a_rendered_tree_is_called_so_once_and_not_compared(tree, data, capsys):
  preparing.prepare("regdb", data_dir=data, manual_dir=tree)
  said = capsys.readouterr()
  assert said.err.count("is a rendered tree: its counts are not compared") == 1
  assert "expected" not in said.err
  assert "4,120" not in said.out
  assert "synthetic" in said.out


def test_the_default_place_follows_the_environment(monkeypatch, tmp_path):
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "here"))
  assert location.default_data_dir() == tmp_path / "here"
  monkeypatch.delenv("TFDS_DATA_DIR")
  assert location.default_data_dir() == pathlib.Path.home() / "tensorflow_datasets"


def test_the_newest_complete_version_is_found(tmp_path):
  for version in ("1.0.0", "1.10.0", "1.9.3", "2.0.0.incompleteX", "3.0.0"):
    (tmp_path / "regdb" / version).mkdir(parents=True)
    if version != "3.0.0":
      (tmp_path / "regdb" / version / "dataset_info.json").touch()
  assert location.dataset_folder("regdb", tmp_path) == tmp_path / "regdb/1.10.0"
