"""Rendered stand-ins: rendered again when their preset changes, and by one process at a time."""

import json
import pathlib
import subprocess
import sys

import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.data import rendered, synthetic
from vireid_jax.data.prepared.source import Dataset

SPEC = synthetic.WorldSpec(1, 1, 2, images_per_camera=1, image_height=24, image_width=12)


@pytest.fixture
def config(tmp_path, monkeypatch):
  monkeypatch.setitem(synthetic.PRESETS, "smoke", SPEC)
  return {"name": "regdb", "dir": str(tmp_path / "data"), "render": "smoke"}


def stored(config):
  return Dataset(config["name"], rendered.data_dir(config))


def test_they_stay_while_the_preset_does(config, capsys):
  rendered.ensure(config)
  path = stored(config).folder / "metadata.json"
  written = path.stat().st_mtime_ns
  capsys.readouterr()
  rendered.ensure(config)
  assert path.stat().st_mtime_ns == written
  assert capsys.readouterr().err == ""


def test_they_are_rendered_again_when_it_changes(config, monkeypatch, capsys):
  rendered.ensure(config)
  assert stored(config).load("full").encoded[0][16:24] == bytes([0, 0, 0, 12, 0, 0, 0, 24])
  other = synthetic.WorldSpec(1, 1, 2, images_per_camera=1, image_height=32, image_width=16)
  monkeypatch.setitem(synthetic.PRESETS, "smoke", other)
  rendered.ensure(config)
  assert "version of the preset 'smoke': rendering it again" in capsys.readouterr().err
  assert stored(config).load("full").encoded[0][16:24] == bytes([0, 0, 0, 16, 0, 0, 0, 32])
  assert stored(config).metadata["world"]["image_height"] == 32


@pytest.mark.parametrize("damage", ["", "[]", '{"synthetic": true, "subsets": {}}'])
def test_they_are_rendered_again_when_it_is_not_known_how_they_were_made(config, damage):
  rendered.ensure(config)
  path = stored(config).folder / "metadata.json"
  whole = json.loads(path.read_text())
  path.write_text(damage)
  rendered.ensure(config)
  assert json.loads(path.read_text()) == whole


@pytest.mark.parametrize(
  "name, hint", [("regdbb", "did you mean 'regdb'"), ("market", "allowed: llcm")]
)
def test_an_unknown_data_set_is_refused(config, name, hint):
  with pytest.raises(UserError, match=rf"config.data.name = '{name}' cannot be rendered .*{hint}"):
    rendered.ensure({**config, "name": name})
  assert not pathlib.Path(config["dir"]).exists()


TWO = """
import sys
from vireid_jax.data import rendered, synthetic
synthetic.PRESETS["smoke"] = synthetic.WorldSpec(
  1, 1, 2, images_per_camera=2, image_height=24, image_width=12
)
rendered.ensure({"name": "regdb", "dir": sys.argv[1], "render": "smoke"})
"""


def test_two_processes_render_once(tmp_path):
  command = [sys.executable, "-c", TWO, str(tmp_path)]
  children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
  said = [child.communicate()[1] for child in children]
  assert [child.returncode for child in children] == [0, 0], said
  assert sum(text.count("Prepared in") for text in said) == 1
  assert not any("Train on it" in text for text in said)  # a training does
  assert [path.name for path in (tmp_path / "rendered/smoke").iterdir() if path.is_dir()] == [
    "regdb"
  ]
