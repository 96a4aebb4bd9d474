"""A checkpoint of an earlier version, whose config has other keys: one error, nothing written."""

import command_lines
import config_files
import pytest
import trained_models

import vireid_jax
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import train

MESSAGE = (
  r"was written by an earlier version of vireid_jax: its config has config\.data\.split, and it is "
  r"now config\.data\.trial \(2 such keys\)\. Train again, or use the version that wrote it"
)


@pytest.fixture
def old(tmp_path):
  """A workdir with a checkpoint of before keys were renamed and numerics had a section."""

  def age(kept):
    kept["method"]["dtype"] = kept.pop("numerics")["dtype"]
    kept["data"]["split"] = kept["data"].pop("trial")

  trained_models.save(tmp_path, "toys.linear", change=age)
  return tmp_path


def evaluate(workdir, data_dir):
  del data_dir
  with command_lines.parsed("--mode=evaluate", f"--workdir={workdir}") as main:
    main.main(["main"])


def go_on(workdir, data_dir):
  train.train(config_files.smoke("agw_synthetic", data_dir), workdir)


def load(workdir, data_dir):
  del data_dir
  vireid_jax.load(workdir)


@pytest.mark.parametrize("use", [evaluate, go_on, load])
def test_an_old_checkpoint_is_refused_by_every_reader(use, old, data_dir):
  with pytest.raises(UserError, match=MESSAGE) as caught:
    use(old, data_dir)
  assert "\n" not in str(caught.value)
  assert [path.name for path in old.glob("eval/*.json")] == []
