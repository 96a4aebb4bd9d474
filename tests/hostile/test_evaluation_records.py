"""A record is replaced only by an evaluation under the same conditions."""

import copy
import json

import config_files
import pytest

from vireid_jax import config as config_lib
from vireid_jax.evaluators.results import METRICS, SettingResult
from vireid_jax.experiment import evaluation_record

OWN = config_lib.to_dict(config_files.load("agw_regdb", "smoke"))


def changed(**changes):
  """Returns the run's config with options of `eval` or `data`, named eval__flip or data__trial."""
  config = copy.deepcopy(OWN)
  for name, value in changes.items():
    place, keys = config, name.split("__")
    for key in keys[:-1]:
      place = place[key]
    place[keys[-1]] = value
  return config


# Options -> the words of the record's name; '#' stands for a hash.
NAMES = [
  ({}, ""),
  ({"eval__batch": 3, "eval__every": "1 step", "eval__quick": True, "data__dir": "/x"}, ""),
  ({"eval__flip": True, "eval__rerank": True}, "flip.rerank"),
  ({"eval__rerank_options__k1": 5}, ""),  # not used
  ({"eval__affinity_options__k1": 5}, ""),  # not used
  ({"eval__affinity": True, "eval__rerank": True}, "rerank.affinity"),
  ({"eval__mser_options__k1": 5}, ""),  # not used
  ({"eval__mser": True, "eval__flip": True}, "flip.mser"),
  ({"eval__mser": True, "eval__mser_options__k1": 5}, "mser.#"),
  ({"eval__affinity": True, "eval__affinity_options__k2": 5}, "affinity.#"),
  ({"eval__rerank": True, "eval__rerank_options__k1": 5}, "rerank.#"),
  ({"eval__normalize": False}, "not_normalized"),
  ({"eval__features": ["before_neck"]}, "before_neck"),
  ({"eval__verification": True}, "verification"),
  ({"eval__corruption__draws": 2}, "corrupted.#"),
  ({"eval__corruption__seed": 2}, ""),  # not used
  ({"eval__protocol__directions": ["visible_to_infrared"]}, "#"),
  ({"data__trial": 2}, "test_2"),
  ({"eval__split": "train_4"}, "train_4"),
  ({"data__name": "llcm"}, "llcm"),
  ({"data__render": ""}, "regdb.#"),
  ({"data__render": "quick"}, "regdb.#"),
  ({"data__image_size": [1, 2]}, "mismatch.#"),
]


@pytest.mark.parametrize("changes, words", NAMES)
def test_a_name_says_what_sets_an_evaluation_apart(changes, words):
  name = evaluation_record.name(changed(**changes), OWN, 7)
  expected = ".".join(filter(None, ["step_0000007", words]))
  if not words.endswith("#"):
    assert name == expected
    return
  assert name.startswith(expected[:-1])
  digits = name.rsplit(".", 1)[1]
  assert len(digits) == 8 and int(digits, 16) >= 0


def test_other_conditions_have_other_names_and_the_same_ones_the_same():
  """Every single option that changes numbers, at two values each."""
  configs = [OWN]
  words = {
    "eval__protocol__directions": (["visible_to_infrared"], ["infrared_to_visible"]),
    "eval__features": (["before_neck"], ["before_neck", "after_neck"]),
    "eval__split": ("train_1", "test_5"),
    "data__name": ("llcm", "vireid_synthetic/quick"),
    "data__render": ("quick", ""),
    "data__resize": ("bilinear", "other"),
  }
  configs += [changed(**{key: value}) for key, values in words.items() for value in values]
  for draws in (1, 2):
    configs += [changed(eval__corruption__draws=draws, eval__corruption__seed=s) for s in (0, 1)]
  for k1 in (3, 4):
    configs += [changed(eval__rerank=True, eval__rerank_options__k1=k1, eval__flip=f)
                for f in (False, True)]  # fmt: skip
  configs += [changed(data__image_size=[height, 24]) for height in (20, 30)]
  names = [evaluation_record.name(config, OWN, 1) for config in configs]
  assert len(set(names)) == len(names)
  assert names == [evaluation_record.name(copy.deepcopy(config), OWN, 1) for config in configs]


def test_images_of_another_data_set_of_the_same_name_get_a_name_of_their_own():
  names = [evaluation_record.name(OWN, OWN, 1, other_images=mark) for mark in ("", "ab", "cd")]
  assert names[0] == "step_0000001" and len(set(names)) == 3
  assert all(name.startswith("step_0000001.regdb.") for name in names[1:])


def record(config=OWN, *, step=7, rate=0.5, images="abc", **facts):
  result = SettingResult((dict.fromkeys(METRICS, rate),), 4, (4,), (4,))
  return {
    "name": evaluation_record.name(config, OWN, step),
    "title": "a title",
    "step": step,
    "config": config,
    "images": images,
    "results": {"visible_to_infrared": result.to_json()},
    **facts,
  }


def rate_of(path):
  return json.loads(path.read_text())["results"]["visible_to_infrared"]["mean"]["mAP"]


def test_the_same_conditions_replace_a_record_and_others_never(tmp_path):
  first = evaluation_record.write(tmp_path, record(rate=0.1))
  assert first.name == "step_0000007.json"
  assert evaluation_record.write(tmp_path, record(rate=0.2)) == first
  assert rate_of(first) == 0.2
  # The images at hand are others: a data set that was prepared anew.
  other = evaluation_record.write(tmp_path, record(rate=0.3, images="def"))
  assert other != first and rate_of(first) == 0.2 and rate_of(other) == 0.3
  assert evaluation_record.write(tmp_path, record(rate=0.4, images="def")) == other
  assert rate_of(other) == 0.4 and len(list((tmp_path / "eval").iterdir())) == 2


def test_a_run_that_goes_on_with_other_options_keeps_what_it_found_before(tmp_path):
  first = evaluation_record.write(tmp_path, record(rate=0.1))
  config = changed(eval__protocol__directions=["visible_to_infrared"])
  kept = {**record(config, rate=0.9), "name": "step_0000007"}  # its own name for its own options
  assert evaluation_record.write(tmp_path, kept) != first
  assert rate_of(first) == 0.1


def test_a_quick_look_never_replaces_all_trials(tmp_path):
  first = evaluation_record.write(tmp_path, record(rate=0.1, quick=True))
  assert evaluation_record.write(tmp_path, record(rate=0.2, quick=True)) == first
  assert evaluation_record.write(tmp_path, record(rate=0.3, quick=False)) == first
  assert evaluation_record.write(tmp_path, record(rate=0.4, quick=True)) is None
  assert rate_of(first) == 0.3


def test_records_of_earlier_versions_count(tmp_path):
  (tmp_path / "eval").mkdir()
  path = tmp_path / "eval" / "step_0000007.json"
  old = {key: value for key, value in record(rate=0.1).items() if key in ("config", "results")}
  del old["config"]["eval"]["allow_mismatch"]
  path.write_text(json.dumps(old))
  config = changed(eval__protocol__directions=["visible_to_infrared"])
  assert evaluation_record.write(tmp_path, {**record(config), "name": "step_0000007"}) != path
  assert rate_of(path) == 0.1
  assert evaluation_record.write(tmp_path, record(rate=0.2)) == path


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"5", b"[" * 99_999])
def test_a_torn_file_is_no_record_and_is_replaced(tmp_path, content):
  (tmp_path / "eval").mkdir()
  path = tmp_path / "eval" / "step_0000007.json"
  path.write_bytes(content)
  assert evaluation_record.write(tmp_path, record()) == path
  assert json.loads(path.read_text()) == record()
