"""Exports that are stopped, mixed or written over other files: never one that runs and is wrong."""

import json
import os
import pathlib

import pytest
import trained_models

import vireid_jax
from vireid_jax import export
from vireid_jax.common.errors import UserError
from vireid_jax.retrieval import export as export_lib


@pytest.fixture(scope="module")
def models(tmp_path_factory):
  folder = tmp_path_factory.mktemp("runs")
  for step in (7, 9):
    trained_models.save(folder / str(step), "toys.linear", step=step, seed=step)
  return [vireid_jax.load(folder / str(step)) for step in (7, 9)]


def load(folder):
  """Reads with the reader that lies in the folder."""
  namespace = {"__name__": "reader"}
  exec((folder / "reader.py").read_text(), namespace)
  return namespace["load"](folder)


def test_files_of_two_exports_do_not_run_together(models, tmp_path):
  for name, model in zip("ab", models, strict=True):
    export_lib.write(model, tmp_path / name)
  assert load(tmp_path / "b").card["step"] == 9
  (tmp_path / "a" / "weights.npz").replace(tmp_path / "b" / "weights.npz")
  with pytest.raises(ValueError, match=r"weights\.npz does not match card\.json"):
    load(tmp_path / "b")


def test_a_changed_function_is_noticed(models, tmp_path):
  export_lib.write(models[0], tmp_path / "out")
  path = tmp_path / "out" / "infrared.stablehlo"
  path.write_bytes(path.read_bytes()[:-1] + b"x")
  with pytest.raises(ValueError, match=r"infrared\.stablehlo does not match"):
    load(tmp_path / "out")


def test_an_earlier_export_stays_until_the_next_one_is_whole(models, tmp_path, monkeypatch):
  out = tmp_path / "out"
  export_lib.write(models[0], out)
  load(out)
  (out / "__pycache__").mkdir()  # as importing the reader leaves it

  def full(*_):
    raise OSError(28, "No space left on device")

  with monkeypatch.context() as patch:
    patch.setattr(export_lib.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
      export_lib.write(models[1], out)
  assert load(out).card["step"] == 7
  assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208
  export_lib.write(models[1], out)
  assert load(out).card["step"] == 9
  assert sorted(json.loads((out / "card.json").read_text())["sha256"]) == [
    "infrared.stablehlo",
    "visible.stablehlo",
    "weights.npz",
  ]
  assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208


def test_a_folder_with_other_files_is_refused_before_anything_is_read(tmp_path, capsys):
  out = tmp_path / "out"
  out.mkdir()
  (out / "thesis\x1b[2J.txt").write_text("mine")
  assert export.main(["--checkpoint", str(tmp_path / "none"), "--out", str(out)]) == 1
  assert r"holds thesis\x1b[2J.txt, which no export wrote" in capsys.readouterr().err
  (tmp_path / "file").touch()
  with pytest.raises(UserError, match="is a file; give a folder"):
    export_lib.check_replaceable(tmp_path / "file")
  export_lib.check_replaceable(pathlib.Path(tmp_path / "new"))
