"""No number on people whom the network was trained on, whatever the data set."""

import types

import numpy as np
import pytest
from ml_collections import ConfigDict
from toys import config as toy_config

from vireid_jax import config as config_lib
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import Records
from vireid_jax.data.prepared.source import Dataset
from vireid_jax.experiment import evaluate, train, unseen
from vireid_jax.training.checkpoint import Checkpoints


def make_config(name, data_dir):
  config = toy_config.smoke(data_dir, name)
  config.optim.lr_multipliers = ConfigDict()
  config.train.duration = "1 step"
  return config


@pytest.fixture(scope="module")
def regdb(data_dir, tmp_path_factory):
  """A run on split 1 of rendered RegDB."""
  workdir = tmp_path_factory.mktemp("runs") / "regdb"
  train.train(make_config("agw_regdb", data_dir), workdir)
  return workdir


def files(workdir):
  return {path.name: path.read_bytes() for path in (workdir / "eval").iterdir()}


def test_another_split_of_regdb_is_refused_and_the_right_one_named(regdb, data_dir):
  before = files(regdb)
  config = make_config("agw_regdb", data_dir)
  known = set(Checkpoints(regdb).meta(1)["identities"])
  config.data.trial = 3
  with pytest.raises(UserError) as caught:
    evaluate.evaluate(config, regdb)
  dataset = Dataset("regdb", data_dir / "rendered" / "smoke")
  tested = set(dataset.subsets["test_3"]["identities"])
  text = str(caught.value)
  assert f"trained on {len(known & tested)} of the {len(tested)} people in test_3 of regdb" in text
  assert f"identities {min(known & tested)}" in text
  assert text.endswith("Evaluate on test_1: --config.data.trial=1")
  assert files(regdb) == before
  config.data.trial = 1
  evaluate.evaluate(config, regdb)


@pytest.mark.parametrize("part", ["train_1", "full"])
def test_a_part_that_holds_training_people_is_refused(regdb, part):
  with pytest.raises(UserError, match=rf"people in {part} of regdb.*--config.eval.split=test_1"):
    evaluate.evaluate(None, regdb, overrides=[f"--config.eval.split={part}"])


def test_training_that_would_be_evaluated_on_its_own_people_does_not_start(data_dir, tmp_path):
  config = make_config("agw_synthetic", data_dir)
  config.eval.split = "val"
  config.eval.protocol.galleries = ("random_choice",)
  with pytest.raises(UserError, match=r"trained on 2 of the 2 people in val.*eval.split=test"):
    train.train(config, tmp_path)
  assert not (tmp_path / "eval").exists() and not Checkpoints(tmp_path).steps()
  config_lib.hold_out_val(config)
  train.train(config, tmp_path)


class Parts:
  """A data set of parts that are known by their people alone."""

  def __init__(self, name, *, names=None, **identities):
    self.name, self._identities = name, identities
    self.metadata = {"identity_names": names} if names else {}

  def split_names(self):
    return list(self._identities)

  def load(self, *parts, on_disk):
    del on_disk
    numbers = np.concatenate([self._identities[part] for part in parts])
    zeros = np.zeros(len(numbers), np.int32)
    records = Records(numbers, zeros, zeros, [str(number) for number in numbers])
    return types.SimpleNamespace(records=records)


def outcome(trained, evaluated, dataset, *, known, part="test", people=None):
  """Returns the refusal of an evaluation, or None; `people` are the names of the known ones."""
  config = config_lib.default_config("agw", "sysu_mm01")
  config.data.update(evaluated)
  config.eval.split = part
  stored = {"config": config_lib.to_dict(config_lib.default_config("agw", "sysu_mm01"))}
  stored["config"]["data"] |= {"train_splits": ["train"], **trained}
  stored |= {"identities": known} | ({"people": people} if people else {})
  records = dataset.load(part, on_disk=True).records
  try:
    unseen.check(stored, config, dataset, records)
  except UserError as error:
    return str(error)
  return None


def test_which_data_sets_hold_the_same_people(tmp_path):
  a, b = str(tmp_path / "a"), str(tmp_path / "b")
  cases = [
    # trained, evaluated, refused
    ({"name": "regdb"}, {"name": "regdb"}, True),
    ({"name": "regdb", "dir": a}, {"name": "regdb", "dir": b}, True),  # the owner's numbers
    ({"name": "regdb"}, {"name": "llcm"}, False),
    ({"name": "regdb"}, {"name": "regdb", "render": "smoke"}, False),  # rendered people are no one
    ({"name": "regdb", "render": "quick"}, {"name": "regdb", "render": "smoke"}, True),
    ({"name": "vireid_synthetic/quick"}, {"name": "vireid_synthetic/smoke"}, True),
    ({"name": "vireid_synthetic/quick"}, {"name": "sysu_mm01", "render": "smoke"}, True),
    ({"name": "own", "dir": a}, {"name": "own", "dir": a}, True),
    ({"name": "own", "dir": a}, {"name": "own", "dir": b}, False),  # other people, other training
  ]
  for trained, evaluated, refused in cases:
    dataset = Parts(evaluated["name"], train=[1, 2, 5], test=[3, 4])
    found = outcome(trained, evaluated, dataset, known=[1, 2, 3])
    assert (found is not None) == refused, (trained, evaluated)


def test_a_data_set_that_was_moved_is_the_same_one(tmp_path):
  trained = {"name": "own", "dir": str(tmp_path / "a")}
  evaluated = {"name": "own", "dir": str(tmp_path / "b")}
  dataset = Parts("own", train=[1, 2, 3], test=[4, 5])
  assert outcome(trained, evaluated, dataset, known=[1, 2, 3]) is None
  text = outcome(trained, evaluated, dataset, known=[1, 2, 3], part="train")
  assert "trained on 3 of the 3 people" in text and "--config.eval.split=test" in text


def test_where_no_part_is_free_of_them_that_is_said():
  dataset = Parts("llcm", train=[1, 2], test=[2, 3])
  text = outcome({"name": "llcm"}, {"name": "llcm"}, dataset, known=[1, 2])
  assert "trained on 1 of the 2 people in test of llcm (identities 2)" in text
  assert text.endswith("No split of this data set is free of them")


def test_names_count_where_people_have_any(tmp_path):
  """People are numbered by the alphabet: one more at its start moves all numbers."""
  own, moved = ({"name": "own", "dir": str(tmp_path / folder)} for folder in "ab")
  names = {"1": "aaron", "2": "bea", "3": "carl", "4": "dora"}
  dataset = Parts("own", names=names, train=[2, 3], test=[1, 4])
  trained = {"known": [1, 2], "people": ["bea", "carl"]}  # before Aaron came
  assert outcome(own, own, dataset, **trained) is None
  assert outcome(own, moved, dataset, **trained) is None
  assert "1 of the 2 people in test of own (identities 1)" in outcome(own, own, dataset, known=[1])
  now = Parts("own", names=names, train=[1, 2], test=[3, 4])
  text = outcome(own, own, now, **trained)
  assert "trained on 1 of the 2 people in test of own (identities carl)" in text


def test_a_checkpoint_keeps_the_names_of_its_people(regdb):
  meta = Checkpoints(regdb).meta(1)
  assert meta["people"] == [str(number) for number in meta["identities"]]
  dataset = Parts("own", names={"2": "bea", "3": "03"}, train=[1, 2, 3])
  assert unseen.people(dataset, np.array([1, 2, 3])) == ["1", "bea", "03"]
