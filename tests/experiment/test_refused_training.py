"""A training that is refused leaves no folder behind; one that has written something is kept."""

import pytest
from toys import config as toy

from vireid_jax.common import files
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import train

REFUSALS = {
  "data": (("data.name", "regdb"), "no prepared data set"),
  "split": (("data.train_splits", ("nope",)), "has no split 'nope'"),
  "batch": (("sampler.num_identities", 4000), "the training data have"),
  "best": (("checkpoint.keep_best", "eval/x"), "does not end in a metric"),
}


def contents(folder):
  return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_training_leaves_nothing(name, tmp_path):
  (key, value), words = REFUSALS[name]
  config = toy.make("")
  section, option = key.split(".")
  config[section][option] = value
  (tmp_path / "mine").mkdir()
  for workdir in (tmp_path / "runs" / "new", tmp_path / "mine"):
    with pytest.raises(UserError, match=words):
      train.train(config, workdir)
    assert contents(tmp_path) == ["mine"]


def test_weights_that_cannot_be_read_leave_nothing(tmp_path):
  (tmp_path / "w.pth").write_text("no weights")
  config = toy.make("")
  config.pretrained = str(tmp_path / "w.pth")
  with pytest.raises(UserError, match="a text file"):
    train.train(config, tmp_path / "runs" / "new")
  assert contents(tmp_path) == ["w.pth"]


@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt])
def test_what_was_written_and_what_was_there_stays(error, tmp_path):
  (tmp_path / "kept" / "empty").mkdir(parents=True)
  with pytest.raises(error), files.made_workdir(tmp_path / "kept" / "new" / "run"):
    (tmp_path / "kept" / "new" / "run" / "checkpoints" / "3").mkdir(parents=True)
    raise error
  assert contents(tmp_path) == ["kept", "kept/empty"]
  with pytest.raises(error), files.made_workdir(tmp_path / "kept"):
    (tmp_path / "kept" / "eval").mkdir()
    (tmp_path / "kept" / "best").mkdir()
    (tmp_path / "kept" / "best" / "file").touch()
    raise error
  assert contents(tmp_path) == ["kept", "kept/best", "kept/best/file", "kept/empty"]
