"""What a checkpoint is evaluated with: its own config, and nothing else without a word."""

import json
import random

import command_lines
import config_files
import pytest
import trained_models
from toys import config as toy_config

from vireid_jax import config as config_lib
from vireid_jax.common.errors import UserError
from vireid_jax.config import keys as config_keys
from vireid_jax.experiment import evaluate, evaluation_config, train
from vireid_jax.training import checkpoint

SETTING = "all/1-shot/random_choice"
STEP = "step_0000002"


def make_config(data_dir, name="agw_synthetic"):
  config = toy_config.one_setting(toy_config.smoke(data_dir, name))
  config.data.image_size = (96, 48)
  config.train.duration = "2 steps"
  return config


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
  """A run at 96 x 48, which no config file says."""
  workdir = tmp_path_factory.mktemp("runs") / "linear"
  train.train(make_config(data_dir), workdir)
  return workdir


def record(workdir, name=STEP):
  return json.loads((workdir / "eval" / f"{name}.json").read_text())


def files(workdir):
  return {path.name: path.read_bytes() for path in (workdir / "eval").iterdir()}


def call(*arguments):
  with command_lines.parsed(*arguments) as main:
    return main.main(["main"])


def evaluate_by_command(workdir, *options):
  return call("--mode=evaluate", f"--workdir={workdir}", *options)


@pytest.mark.parametrize("mismatch", [False, True])
def test_a_run_on_rendered_images_is_evaluated_on_those_that_the_command_names(mismatch):
  stored = config_lib.to_dict(config_files.load("agw_sysu", "smoke"))
  given = config_files.load("agw_sysu", "smoke")
  del given.data.render
  if mismatch:
    given.eval.allow_mismatch = True
    given.data.image_size = (96, 48)
  assert "render" not in evaluation_config.resolve(stored, given).config.data
  assert evaluation_config.resolve(stored).config.data.render == "smoke"
  real = config_lib.to_dict(given)
  changes = ["--config.data.render=quick"]
  assert evaluation_config.resolve(real, changes=changes).config.data.render == "quick"


def test_without_a_config_the_evaluation_is_that_of_the_training(trained, capsys):
  before = record(trained)
  assert before["config"]["data"]["image_size"] == [96, 48]
  assert evaluate_by_command(trained) == 0
  after = record(trained)
  for key in ("results", "config", "images", "title", "name", "differs"):
    assert after[key] == before[key], key
  assert list(files(trained)) == [f"{STEP}.json"]
  assert f"{STEP}.json" in capsys.readouterr().out


def test_overrides_apply_on_top_and_get_a_record_of_their_own(trained):
  own = files(trained)
  assert evaluate_by_command(trained, "--config.eval.protocol.trials=3", "--config.eval.flip") == 0
  new = {name: content for name, content in files(trained).items() if name not in own}
  ((name, content),) = new.items()
  assert name.startswith(f"{STEP}.flip.")
  stored = json.loads(content)
  assert stored["differs"] == ["eval.flip: False -> True", "eval.protocol.trials: 2 -> 3"]
  assert len(stored["results"][SETTING]["trials"]) == 3
  assert stored["config"]["data"]["image_size"] == [96, 48]
  assert own.items() <= files(trained).items()


MISMATCHES = {
  "another size": ("--config.data.image_size=(144,72)", r"data\.image_size: \[96, 48\] -> \[144"),
  "another filter": ("--config.data.resize=bilinear", r"data\.resize: 'lanczos' -> 'bilinear'"),
  "another width": ("--config.method.width=16", r"method\.width: 8 -> 16"),
  "another feature": ("--config.method.feature=before_neck", r"method\.feature: 'after_neck' ->"),
  "another mean": (
    "--config.augment.infrared=('normalize(mean=(0.5,0.5,0.5))',)",
    r"augment\.infrared: \['normalize\(\)'\] -> \['normalize\(mean",
  ),
}


@pytest.mark.parametrize("kind", MISMATCHES)
def test_what_changes_what_the_network_sees_is_refused(trained, kind):
  option, named = MISMATCHES[kind]
  before = files(trained)
  with pytest.raises(UserError, match=named):
    evaluate_by_command(trained, option)
  assert files(trained) == before


def test_every_key_of_the_config_is_compared_unless_it_is_known_to_be_free(data_dir):
  """A key that is added tomorrow is refused until someone decides about it."""
  config = make_config(data_dir)
  stored = config_lib.to_dict(config)
  free = set(evaluation_config.TEST_SET) | set(evaluation_config.TRAINING)
  for section in ("data", "method", "numerics", "new"):
    given = json.loads(json.dumps(stored))
    given.setdefault(section, {})["new"] = 1
    assert evaluation_config.seen(given) != evaluation_config.seen(stored), section
  named = set(stored) - {"method", "numerics", "data"} | {f"data.{key}" for key in stored["data"]}
  assert named - free == {"data.image_size", "data.resize"}


def test_a_mismatch_that_is_asked_for_is_named_everywhere(trained, capsys):
  before = files(trained)
  option = ("--config.data.resize=bilinear", "--config.eval.allow_mismatch=True")
  assert evaluate_by_command(trained, *option) == 0
  line = "data.resize: 'lanczos' -> 'bilinear'"
  _, headline, _, title, *_ = capsys.readouterr().out.splitlines()
  assert headline.startswith("rank-1 ")
  assert headline.endswith(" (mismatch: not the settings of the training)")
  assert f"(mismatch: {line})" in title
  ((name, content),) = files(trained).items() - before.items()
  assert name.startswith(f"{STEP}.mismatch.")
  stored = json.loads(content)
  assert stored["mismatch"] == [line] and line in stored["title"]
  assert before.items() <= files(trained).items()


def test_a_mismatch_that_does_not_fit_the_variables_is_one_error(trained):
  option = ("--config.data.image_size=(48,24)", "--config.eval.allow_mismatch=True")
  with pytest.raises(UserError, match=r"2 of 3 variables differ.*\(13824, 8\) -> \(3456, 8\)"):
    evaluate_by_command(trained, *option)
  with pytest.raises(UserError, match="checkpoint is of another method"):
    evaluate_by_command(trained, "--config.method.name=agw", "--config.eval.allow_mismatch=True")


def test_a_given_config_chooses_the_test_set_and_must_be_of_the_same_network(trained, data_dir):
  config = make_config(data_dir)
  before = files(trained)
  config.data.image_size = (48, 24)
  with pytest.raises(UserError, match=r"data\.image_size: \[96, 48\] -> \[48, 24\]"):
    evaluate.evaluate(config, trained)
  assert files(trained) == before
  config.data.image_size = (96, 48)
  config.eval.mixed = True
  evaluate.evaluate(config, trained)
  assert "visible_to_mixed/1-shot" in record(trained, f"{STEP}.mixed")["results"]


def test_training_settings_of_the_command_do_not_count_and_that_is_said(trained, capsys):
  assert evaluate_by_command(trained, "--config.seed=5", "--config.optim.lr=7.0") == 0
  assert "optim.lr: 0.002 -> 7.0; seed: 0 -> 5" in capsys.readouterr().err
  assert record(trained)["seed"] == 0 and record(trained)["trained"]["optim"]["lr"] == 0.002


@pytest.mark.parametrize(
  "option, named",
  [
    ("--config.eval.flop=True", "config.eval.flop: no such key; did you mean config.eval.flip"),
    ("--config.eval.flip=maybe", "config.eval.flip = 'maybe'; allowed: True or False"),
    ("--config.eval.protocol.trials=0", "trials holds 0"),
    ("--config.eval.split=tset", "no split 'tset'; did you mean 'test'"),
    (
      "--config.eval.features=('before_neck','before_neck')",
      r"config.eval.features .* all different",
    ),
    ("--config.eval.batch=-4", "batch"),
    ("--config.eval.protocol.name=sysu", "did you mean 'sysu_mm01'"),
  ],
)
def test_wrong_overrides_are_one_error_and_write_nothing(trained, option, named):
  before = files(trained)
  with pytest.raises(UserError, match=named):
    evaluate_by_command(trained, option)
  assert files(trained) == before


def test_checkpoints_of_earlier_versions_lack_options_and_are_evaluated(data_dir, tmp_path):
  def forget(kept):
    kept["data"]["dir"] = str(data_dir)
    for key in ("allow_mismatch", "flip", "mixed"):
      del kept["eval"][key]

  trained_models.save(tmp_path, "toys.linear", change=forget)
  assert evaluate_by_command(tmp_path) == 0
  assert record(tmp_path, "step_0000007")["config"]["eval"]["allow_mismatch"] is False


def test_the_workdir_is_tried_before_and_the_table_comes_before_the_record(
  trained, tmp_path, monkeypatch, capsys
):
  workdir = tmp_path / "run"
  workdir.mkdir()
  (workdir / "checkpoints").symlink_to(trained / "checkpoints")
  (workdir / "eval").write_text("not a folder")
  embedded = []
  monkeypatch.setattr(evaluate.Evaluation, "embed", lambda *args, **kwargs: embedded.append(1))
  with pytest.raises(UserError, match=r"cannot write to .*eval"):
    evaluate_by_command(workdir)
  assert not embedded
  monkeypatch.undo()
  (workdir / "eval").unlink()

  def full(path, text):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(evaluate.files, "write_text", full)
  with pytest.raises(UserError, match="the disk is full"):
    evaluate_by_command(workdir)
  assert SETTING in capsys.readouterr().out
  assert not list((workdir / "eval").iterdir())


def test_overrides_without_a_config_do_not_reach_training(tmp_path):
  with pytest.raises(UserError, match="--config is required"):
    call("--mode=train", f"--workdir={tmp_path}", "--config.optim.lr=0.5")


def test_a_mismatch_is_for_the_evaluating_command_to_allow(data_dir, tmp_path):
  def allow(kept):
    kept["data"]["dir"] = str(data_dir)
    kept["eval"]["allow_mismatch"] = True

  trained_models.save(tmp_path, "toys.linear", change=allow)
  with pytest.raises(UserError, match=r"data\.resize"):
    evaluate_by_command(tmp_path, "--config.data.resize=bilinear")


ODD = [
  *("", "0", "-1", "1", "2.5", "nan", "1e999", "True", "x", "()", "(1,)", "('a',)", "{}"),
  *(
    "{'a':1}",
    "None",
    "{trial}",
    "{nope}",
    "9" * 20,
    '"',
    "[1",
    "\x1b",
    "a/b",
    "..",
    "test_{trial}",
  ),
]


def odd_overrides(stored, count):
  """Draws overrides of any key and of whole sections with odd values, always the same ones."""
  keys = [*config_keys.flatten(stored), *stored, "eval.protocol", "nope", "eval.nope"]
  generator = random.Random(15)
  return [f"--config.{generator.choice(keys)}={generator.choice(ODD)}" for _ in range(count)]


def try_overrides(trained, count):
  """Returns how many of so many odd overrides were evaluated; the others were refused."""
  stored = checkpoint.Checkpoints(trained, keep=None).meta(2)["config"]
  done = 0
  for number, option in enumerate(odd_overrides(stored, count)):
    allowed = ["--config.eval.allow_mismatch=True"] if number % 2 else []
    try:
      evaluate.evaluate(None, trained, overrides=[option, *allowed])
      done += 1
    except UserError as error:
      assert str(error) and "Traceback" not in str(error), option
  return done


def test_odd_overrides_are_evaluated_or_refused(trained, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)  # some name a folder for data sets, which are rendered there
  own = (trained / "eval" / f"{STEP}.json").read_bytes()
  results = json.loads(own)["results"]
  assert 3 < try_overrides(trained, 30) < 27
  assert record(trained)["results"] == results


@pytest.mark.slow
def test_many_odd_overrides_are_evaluated_or_refused(trained, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert try_overrides(trained, 400) > 40
