"""Config files and overrides that are wrong in any way: one error that says where and what next."""

import pathlib

import command_lines
import pytest

from vireid_jax import config as config_lib
from vireid_jax.common.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
SMOKE = f"{ROOT / 'configs' / 'mun_sysu.py'}:smoke"
START = """from vireid_jax import config as config_lib

def get_config(arg=""):
  config = config_lib.default_config("agw", "sysu_mm01")
"""
# What a config file holds -> what the error says.
BROKEN = {
  "a name that is not there": (
    f"{START}  config.optim.lr = fast\n",
    r"line 5: NameError: name",
  ),
  "a key that is not there": (f"{START}  config['b']['c'] = 1\n", "line 5: KeyError.*\n.*'b'"),
  "a misspelt section": (f"{START}  config.optimm.lr = 1\n", "line 5: AttributeError: .*optim"),
  "another type": (f"{START}  config.optim.lr = 'fast'\n", "line 5: TypeError: .*float"),
  "not Python": ("def get_config(:\n", r"line 1: SyntaxError: .*\n +def get_config\(:"),
  "a module that is not there": ("import nosuchmodule\n", "line 1: ModuleNotFoundError: .*nosuch"),
  "an exit": (f"{START}  raise SystemExit(3)\n", "line 5: SystemExit: 3"),
  "endless recursion": ("def get_config(arg=''):\n  return get_config(arg)\n", "RecursionError"),
  "an unknown method": (START.replace("agw", "agv") + "  return config", "did you mean 'agw'"),
  "an unknown data set": (START.replace("sysu_mm01", "sysu_mm"), "did you mean 'sysu_mm01'"),
  "no get_config": ("def config():\n  pass\n", "defines no function get_config"),
  "nothing returned": (START, "returned None; it must return the ConfigDict"),
  "a dictionary returned": (f"{START}  return dict(a=1)\n", "returned {'a': 1}; it must"),
  "escapes": (
    f"{START}  raise ValueError('a\\nb\\x1b[31m')\n",
    r"line 5: ValueError: a b\\x1b\[31m",
  ),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("read", [config_lib.load, lambda p: command_lines.config("--config", p)])
def test_an_error_inside_the_file_names_its_line(kind, read, tmp_path):
  content, message = BROKEN[kind]
  path = tmp_path / "mine.py"
  path.write_text(content)
  with pytest.raises(UserError, match=message) as caught:
    read(str(path))
  assert "no such key" not in str(caught.value) and "\x1b" not in str(caught.value)
  assert "mine.py" in str(caught.value) or "did you mean" in str(caught.value)


def test_what_is_no_file_of_text_is_named(tmp_path):
  (tmp_path / "binary.py").write_bytes(bytes(range(256)))
  for path, message in [
    (tmp_path / "binary.py", "SyntaxError|ValueError"),
    (tmp_path, "is a folder"),
    (tmp_path / "absent.py", "no file"),
    (f"{tmp_path}/{'x' * 400}.py", "cannot be read .*too long"),
    ("", "no file ''"),
    (f"{tmp_path}/a\0b.py", "no file|cannot be read"),
    (f"{tmp_path}/a\x1b[31m.py", r"no file .*\\x1b\[31m"),
  ]:
    with pytest.raises(UserError, match=message):
      config_lib.load(str(path))


def test_a_misspelt_file_names_the_near_ones(monkeypatch):
  monkeypatch.chdir(ROOT)
  with pytest.raises(UserError, match=r"did you mean 'configs/mun_sysu\.py'"):
    command_lines.config("--config=configs/mun_syzu.py")


def test_a_misspelt_variant_is_the_same_error_for_both_readers():
  for read in (config_lib.load, lambda path: command_lines.config(f"--config={path}")):
    with pytest.raises(UserError, match="unknown config variant 'smok'; did you mean 'smoke'"):
      read(SMOKE[:-1])


def test_a_file_that_was_changed_at_once_is_read_again(tmp_path):
  path = tmp_path / "mine.py"
  for rate in (0.1, 0.2, 0.3):
    path.write_text(f"{START}  config.optim.lr = {rate}\n  return config\n")
    assert config_lib.load(str(path)).optim.lr == rate
  assert [each.name for each in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
  "option, message",
  [
    ("--config.optim.lrr=1", "--config.optim.lrr: no such key; did you mean config.optim.lr"),
    ("--config.optim.learning_rate=1", "did you mean config.optim.lr?"),
    ("--config.learning_rate=1", "did you mean config.optim.lr?"),
    ("--config.depth=18", "did you mean config.method.depth?"),
    ("--config.backbone=18", "did you mean config.method.depth?"),  # MUN has one backbone
    ("--config.method.dept=18", "did you mean config.method.depth?"),
    ("--config.train.epochs=3", "did you mean config.train.duration?"),
    ("--config.optim.lr.x=1", "no such key"),
    ("--config.zzz.qqq=1", "config has: augment, checkpoint, data"),
    ("--config.optim.qqqqq=1", "config.optim has: decay_at, decay_to"),
    ("--config.a\nb\x1b[31m=1", r"--config.a\\nb\\x1b\[31m: no such key"),
    (f"--config.{'x' * 5000}=1", "no such key"),
    ("--config.optim.lr=fast", "--config.optim.lr = 'fast'; allowed: a number"),
    ("--config.optim.lr=\x1b[31m\n", r"--config.optim.lr = '\\x1b\[31m\\n'; allowed: a number"),
    ("--config.seed=1.5", "--config.seed = '1.5'; allowed: a whole number"),
    ("--config.eval.flip=perhaps", "--config.eval.flip = 'perhaps'; allowed: True or False"),
    ("--config.data.image_size=(1,", "allowed: values separated by commas"),
    ("--config.optim=5", "--config.optim = '5'; allowed: a dictionary in quotes"),
    ('--config.optim={"lr": 2', """--config.optim = '{"lr": 2'; allowed: a dictionary"""),
    ("--config.data.image_size[0]=5", r"no such key; did you mean config.data.image_size"),
    ("--config.=1", "no such key"),
    ("--config..lr=1", "no such key"),
    ("--config.method.non_local=(1, 2", "--config.method"),
    ("--confg.optim.lr=1", "unknown option --confg"),
    ("--wrokdir=x", "unknown option --wrokdir; did you mean '--workdir'"),
    ("--config.optim.lr", "Missing value|allowed: a number"),
    ("--config=configs/agw_sysu.py", "--config is given 2 times; give one file"),
  ],
)
def test_a_wrong_override_is_explained_in_one_line(option, message):
  with pytest.raises(UserError, match=message.replace("?", r"\?")) as caught:
    command_lines.config("--config", SMOKE, option)
  text = str(caught.value)
  assert text.isprintable() and len(text) < 1200


def test_overrides_reach_the_config_and_leave_the_next_command_alone():
  changed = command_lines.config(
    "--config",
    SMOKE,
    "--config.optim.lr=0.5",
    "--config.data.image_size=(64,32)",
    "--noconfig.log.tensorboard",
  )
  assert changed.optim.lr == 0.5 and changed.data.image_size == (64, 32)
  assert changed.log.tensorboard is False
  assert command_lines.config("--config", SMOKE).optim.lr == 0.1


@pytest.mark.parametrize(
  "arguments, folder",
  [
    (("--config", "configs/mun_sysu.py"), "runs/mun_sysu"),
    (("--config=configs/mun_sysu.py:smoke",), "runs/mun_sysu-smoke"),
    (("--config=configs/agw_sysu.py:base,smoke", "--mode=evaluate"), "runs/agw_sysu-base-smoke"),
    (("--config=configs/mun_sysu.py:", "--config.seed=1"), "runs/mun_sysu"),
    (("--config=configs/mun_sysu.py", "--workdir=there"), "there"),
    (("--mode=report",), "runs"),
  ],
)
def test_a_run_without_a_workdir_goes_where_its_config_says(arguments, folder, monkeypatch, capsys):
  monkeypatch.chdir(ROOT)
  with command_lines.parsed(*arguments) as main:
    assert str(main.run_flags.workdir()) == folder
  said = capsys.readouterr()
  line = f"workdir: {folder} (change it with --workdir)\n"
  expected = ("", "") if folder == "there" else (("", line) if folder == "runs" else (line, ""))
  assert (said.out, said.err) == expected


def test_a_frozen_config_can_be_overridden(tmp_path):
  path = tmp_path / "mine.py"
  path.write_text(
    f"import ml_collections\n{START}  return ml_collections.FrozenConfigDict(config)\n"
  )
  assert command_lines.config("--config", str(path), "--config.seed=3").seed == 3


def test_a_config_that_holds_itself_is_refused(tmp_path):
  path = tmp_path / "mine.py"
  path.write_text(f"{START}  config.optim.again = config\n  return config\n")
  with pytest.raises(UserError, match="does one of them contain itself"):
    command_lines.config("--config", str(path))


def test_a_command_without_a_config_says_what_to_give():
  with command_lines.parsed() as main, pytest.raises(UserError, match="--config configs/mun_syn"):
    main.run_flags.read_config()


def test_default_config_names_the_data_sets():
  with pytest.raises(UserError, match="unknown data set 'regbd'; did you mean 'regdb'"):
    config_lib.default_config("agw", "regbd")
