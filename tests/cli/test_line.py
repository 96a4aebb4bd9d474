"""The command line `vireid`: its commands, and how commands and options may be spelled."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

import vireid_jax
from vireid_jax import config as config_lib
from vireid_jax.cli import line, names
from vireid_jax.common.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
# The options that each --help lists beside --help and --version.
PROCESSES = "coordinator_address num_processes process_id"
RUN = f"config workdir {PROCESSES}"
OPTIONS = {
  "train": f"{RUN} print_config verbose",
  "evaluate": f"{RUN} step verbose",
  "report": f"{RUN} all format html step",
  "prepare": "manual_dir data_dir skip_corrupt overwrite",
  "embed": "checkpoint step images modality out raw batch shards merge format",
  "search": (
    "checkpoint step gallery query query_modality gallery_modality top min_similarity exclude "
    "cameras index group groups false_accept_rate engine faiss format out batch"
  ),
  "export": "checkpoint step out raw onnx",
  "benchmark": "",
  "ablate": "config workdir seeds jobs format",
  "splits": f"{RUN} mode splits step",
  "import-weights": "config weights workdir",
  "synthesize": "out preset identities images_per_camera seed masks workers",
  "cost": "classes config format",
  "plan": "config target what dtype remat accumulate largest_batch classes json",
  "list": "data_dir format",
  "pedmix-sheet": "config out pairs ratio seed scale workdir",
  "corruption-sheet": "",
}


def started(*words):
  command = [sys.executable, "-m", "vireid_jax", *words]
  pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
  return subprocess.Popen(command, cwd=ROOT, **pipes)


def ended(process):
  output, errors = process.communicate()
  return process.returncode, output, errors


def test_every_door_has_a_command_with_a_line_of_help():
  files = (ROOT / "vireid_jax").glob("*.py")
  doors = {file.stem for file in files if not file.stem.startswith("__")}
  assert {command.door for command in line.COMMANDS.values()} == doors
  code, output, errors = ended(started("--help"))
  assert (code, errors) == (0, "")
  for name, command in line.COMMANDS.items():
    assert f"  {name:<16}  {command.summary}\n" in output


def test_every_command_s_help_names_it_and_lists_its_options_and_no_others():
  assert set(OPTIONS) == set(line.COMMANDS)
  running = {name: started(name, "--help") for name in OPTIONS}
  for name, process in running.items():
    code, output, errors = ended(process)
    assert (name, code, errors) == (name, 0, "")
    assert output.startswith(f"usage: vireid {name} [-h] [--version]")
    assert set(re.findall(r"^  (?:-\w, )?--(\w[\w-]*)", output, re.MULTILINE)) == {
      "help",
      "version",
      *OPTIONS[name].split(),
    }
    assert "--verbosity" not in output and "<train|" not in output


def test_help_and_version_of_the_doors_name_the_doors():
  running = {door: started_door(door, "--help") for door in ("main", "embed", "import_weights")}
  versions = [
    started("--version"),
    started("report", "--version"),
    started_door("embed", "--version"),
  ]
  for door, process in running.items():
    code, output, errors = ended(process)
    assert (code, errors) == (0, "")
    assert output.startswith(f"usage: python -m vireid_jax.{door} [-h] [--version]")
  for process in versions:
    assert ended(process) == (0, f"vireid_jax {vireid_jax.__version__}\n", "")


def started_door(door, *words):
  command = [sys.executable, "-m", f"vireid_jax.{door}", *words]
  pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
  return subprocess.Popen(command, cwd=ROOT, **pipes)


@pytest.mark.parametrize(
  "words, said",
  [
    ([], "no command; vireid --help lists the commands"),
    (["serch"], "unknown command 'serch'; did you mean 'search'?"),
    (["import_weigths"], "did you mean 'import-weights'?"),
    (["x\x1b[2J"], r"unknown command 'x\x1b[2J'; allowed: ablate, benchmark, "),
    (["--config", "a.py"], "unknown option --config; the command comes first"),
    (["train", "--mode=report"], "vireid train sets --mode itself; leave it out"),
    (["report", "--mode", "train"], "vireid report sets --mode itself"),
  ],
)
def test_wrong_command_lines_end_in_one_line(words, said, capsys, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["vireid", *words])
  monkeypatch.setattr(line.app, "start", lambda main: main())
  with pytest.raises(UserError) as error:
    line.start()
  assert said in str(error.value) and "\n" not in str(error.value)


def test_commands_and_options_are_spelled_with_hyphens_or_underscores():
  running = {
    "import_weights": (["--weights=a-b"], "--config is required; for example"),
    "import-weights": (["--mode=train"], "unknown option --mode; vireid import-weights --help"),
    "prepare": (["no-data", "--skip-corrupt"], "no-data"),
    "search": (["--query-modality=x-y"], "argument --query_modality: invalid choice: 'x-y'"),
    "benchmark": (
      ["floor", "--no_bytes"],
      "following arguments are required: configs;",
    ),
    "train": (["--config=configs/agw_synthetic.py", "--config.optim.l-r=1"], "config.optim.l_r"),
  }
  processes = {name: started(name, *words) for name, (words, _) in running.items()}
  for name, process in processes.items():
    code, _, errors = ended(process)
    assert (name, code) == (name, 1)
    assert errors.startswith("error: ") and running[name][1] in errors


@pytest.mark.parametrize(
  "word, expected",
  [
    ("--a-b", "--a_b"),
    ("--a_b=c-d_e", "--a_b=c-d_e"),
    ("--c_d", "--c-d"),
    ("--c_", "--c-"),
    ("--x-y", "--x-y"),
    ("--", "--"),
    ("a-b", "a-b"),
    ("-a-b", "-a-b"),
  ],
)
def test_an_option_is_spelled_as_it_is_defined(word, expected):
  assert names.spelled(word, ("-h", "--a_b", "--a_b_c", "--c-d")) == expected


def test_the_overview_loads_nothing_that_takes_long():
  program = "import sys; from vireid_jax.cli import line; line.overview(); print(*sys.modules)"
  loaded = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT).split()
  assert not {"jax", "numpy", "absl", "ml_collections", "tensorflow"}.intersection(loaded)


def test_a_signal_to_the_command_line_ends_it_with_75():
  """Before the first import of the command's module."""
  program = """
import os, signal, sys
class Signal:
  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] not in {*sys.stdlib_module_names, "vireid_jax", "tfds_builders", "org"}:
      sys.meta_path.remove(self)
      os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Signal())
sys.argv[1:] = ["export"]
from vireid_jax.__main__ import main
main()
"""
  done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
  assert (done.returncode, done.stdout) == (75, "")
  assert done.stderr == "\nSIGTERM: stopping; a second signal stops at once\n"


def test_a_config_is_printed_whole_and_nothing_is_made(tmp_path):
  command = [
    sys.executable,
    "-m",
    "vireid_jax",
    "train",
    "--config=mun_sysu:smoke",
    "--print-config",
  ]
  environment = os.environ | {"PYTHONPATH": str(ROOT)}
  made = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
  printed, wrong, other = (
    subprocess.run([*command, *more], **made)
    for more in (["--config.optim.lr=0.25"], ["--config.optim.lr=-1"], ["--step=2"])
  )
  assert (printed.returncode, printed.stderr) == (0, "")
  expected = config_lib.load("mun_sysu:smoke")
  expected.optim.lr = 0.25
  assert json.loads(printed.stdout) == config_lib.to_dict(expected)
  assert (wrong.returncode, wrong.stdout) == (1, "")
  assert wrong.stderr.startswith("error: config.optim.lr is -1.0")
  assert other.returncode == 1 and "--step=2 is for" in other.stderr
  command[3] = "evaluate"
  refused = subprocess.run(command, **made)
  assert refused.stderr == "error: --print_config is for --mode=train; --mode is evaluate\n"
  assert not list(tmp_path.iterdir())
