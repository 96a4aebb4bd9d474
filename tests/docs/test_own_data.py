"""The guide to one's own pictures, followed to the letter: prepared, trained, searched."""

import json
import os
import subprocess
import sys

import guides
import pytest

GUIDE = "own_data.md"
# A tiny network instead of a ResNet-50; everything else is the guide's.
SMALL = (
  "--config.data.image_size=(48,24)",
  "--config.sampler.num_identities=4",
  "--config.sampler.num_instances=2",
  "--config.method.depth=18",
  "--config.method.width=8",
  "--config.eval.batch=32",
)
BRIEF = ("--config.train.duration=3 steps", "--config.log.every=1 step")


@pytest.mark.slow
def test_pictures_with_a_table_are_trained_and_searched(tmp_path):
  mine = tmp_path / "mine"
  environment = {
    **os.environ,
    "TFDS_DATA_DIR": str(tmp_path / "prepared"),
    "XDG_CACHE_HOME": str(tmp_path / "cache"),
  }
  said = {}
  for arguments in guides.commands(GUIDE):
    arguments = [argument.replace("/data/mine", str(mine)) for argument in arguments]
    arguments = [argument.replace("runs/mine", str(tmp_path / "run")) for argument in arguments]
    name = arguments[1].removeprefix("vireid_jax.")
    if name == "main":
      arguments += (*SMALL, *BRIEF)
    if name == "search":
      arguments += ["--out", str(tmp_path / "search.html")]
    done = subprocess.run(
      [sys.executable, *arguments],
      cwd=guides.ROOT,
      env=environment,
      capture_output=True,
      text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said[name] = done.stdout
  assert list(said) == ["synthesize", "prepare", "main", "search"]
  check_evaluation(tmp_path / "run")
  check_search(mine, said["search"], (tmp_path / "search.html").read_text())


def check_evaluation(workdir):
  """Both directions, whole galleries, no camera in common."""
  record = json.loads((workdir / "eval" / "step_0000003.json").read_text())
  assert record["dataset"] == "own" and record["synthetic"]
  assert list(record["results"]) == ["infrared_to_visible", "visible_to_infrared"]
  result = record["results"]["infrared_to_visible"]
  assert result["conditions"]["exclude_same_camera"] is False
  assert 0 < result["mean"]["mAP"] <= 1


def check_search(mine, said, page):
  """Every infrared picture is a query among all visible ones; five are listed."""
  visible = list((mine / "pictures" / "visible").iterdir())
  infrared = list((mine / "pictures" / "infrared").iterdir())
  assert f"no index yet: embedded {len(visible)} pictures" in said
  assert f"{len(infrared)} queries in {len(visible)} pictures" in said
  assert sorted(path.name for path in (mine / "pictures").iterdir()) == ["infrared", "visible"]
  indexes = list((mine.parent / "cache" / "vireid_jax" / "index").iterdir())
  assert [path.name.startswith("visible-") for path in indexes] == [True]
  assert page.count("<li>") == 5 * min(50, len(infrared))
