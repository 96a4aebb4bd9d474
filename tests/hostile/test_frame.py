"""The frame of all commands: exit codes, one line per error, no traceback for what is no bug."""

import errno
import os
import pathlib
import subprocess
import sys

import command_lines
import pytest

from vireid_jax.cli import app
from vireid_jax.common import files, interrupts
from vireid_jax.common.errors import UserError
from vireid_jax.runtime import distributed

ROOT = pathlib.Path(__file__).parents[2]
DOORS = (
  *("main", "prepare", "embed", "search", "export", "ablate", "splits", "synthesize"),
  *("import_weights", "benchmark", "cost", "pedmix_sheet", "corruption_sheet", "list"),
)
# Runs a door; the first import that is not Python's own or ours finds a signal in its way.
SIGNALLED = """
import os, runpy, signal, sys

class Signal:
  def find_spec(self, name, path=None, target=None):
    ours = {"vireid_jax", "tfds_builders", "org"}  # org: copy.py looks for Java's
    if name.split(".")[0] not in {*sys.stdlib_module_names, *ours}:
      sys.meta_path.remove(self)
      os.kill(os.getpid(), getattr(signal, sys.argv[2]))

sys.meta_path.insert(0, Signal())
runpy.run_module(f"vireid_jax.{sys.argv[1]}", run_name="__main__", alter_sys=True)
"""


def start(door, *arguments, **options):
  pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
  environment = os.environ | {"PYTHONPATH": str(ROOT)}
  words = [sys.executable, "-m", f"vireid_jax.{door}", *arguments]
  return subprocess.Popen(words, cwd=ROOT, env=environment, **pipes | options)


def raising(error):
  def function():
    raise error

  return function


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_door_listens_before_its_slow_imports(name):
  pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
  command = [sys.executable, "-c", SIGNALLED]
  doors = {door: subprocess.Popen([*command, door, name], cwd=ROOT, **pipes) for door in DOORS}
  for door, process in doors.items():
    output, errors = process.communicate()
    assert (door, process.returncode, output) == (door, 75, "")
    assert errors == f"\n{name}: stopping; a second signal stops at once\n"


def test_wrong_options_end_in_one_line_and_help_in_none():
  wrong = {
    "main": (["--mod=train"], "unknown option --mod"),
    "synthesize": (["regdb", "--out", "x", "--presets=a"], "did you mean '--preset' or"),
    "prepare": ([], "required: name"),
  }
  running = {door: start(door, *words) for door, (words, _) in wrong.items()}
  helping = {door: start(door, "--help") for door in ("main", "synthesize")}
  for door, process in running.items():
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("error: ") and errors.count("\n") == 1
    assert wrong[door][1] in errors
  for process in helping.values():
    output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert "--" in output


@pytest.mark.parametrize("characters", [10, 100_000])
def test_a_reader_that_goes_ends_a_command_quietly(characters):
  program = f"from vireid_jax.cli import app\napp.start(lambda: print('x' * {characters}))"
  pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
  process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, **pipes)
  process.stdout.close()
  assert process.stderr.read() == ""
  assert process.wait() == 1


def test_output_that_cannot_be_written_is_an_error_and_no_output_is_none():
  program = "from vireid_jax.cli import app\napp.start(lambda: print('x'))"
  with open("/dev/full", "w") as full:  # noqa: PTH123
    process = subprocess.Popen(
      [sys.executable, "-c", program], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
    )
  _, errors = process.communicate()
  assert process.returncode == 1
  advice = "free space or give this user access, or choose another path"
  assert errors == f"error: the disk is full; {advice}\n"
  shell = 'exec "$0" -c "$1" >&- 2>&-'
  assert subprocess.run(["/bin/sh", "-c", shell, sys.executable, program], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
  "error, words",
  [
    (UserError("no such thing as a\x1b[2Jb"), r"error: no such thing as a\x1b[2Jb"),
    (MemoryError(), "error: not enough memory"),
    (OSError(errno.ENOSPC, "No space", "/full/f"), "error: /full/f: the disk is full"),
    (FileNotFoundError(errno.ENOENT, "No such file", b"a\xff"), r"error: a\xff: No such file"),
    (RuntimeError("RESOURCE_EXHAUSTED: 9 GB\nmore"), "error: the device has not enough memory"),
  ],
)
def test_expected_errors_are_explained(error, words, capsys):
  assert app.guarded(raising(error)) == 1
  said = capsys.readouterr().err
  assert said.startswith(words) and said.count("\n") == 1


def test_a_bug_keeps_its_traceback():
  with pytest.raises(ZeroDivisionError):
    app.guarded(lambda: 1 / 0)


def test_a_stop_is_recognised_inside_a_library_s_error():
  def wrapped():
    try:
      raise interrupts.Stopped("SIGTERM")
    except BaseException as error:
      raise ImportError("half a module") from error

  assert app.guarded(wrapped) == app.guarded(raising(interrupts.Stopped("SIGINT"))) == 75
  assert app.guarded(lambda: None) == 0 and app.guarded(lambda: 3) == 3


@pytest.mark.parametrize(
  "name, words",
  [
    ("", "--workdir is empty"),
    ("  ", "--workdir is empty"),
    ("a" * 300, "more than 255 bytes"),
    ("人" * 90, "more than 255 bytes"),
    ("/".join(["a" * 200] * 20), "more than 3500 bytes"),
    (b"run\xff".decode("utf-8", "surrogateescape"), "not text"),
    ("run\x1b[2J", "not text"),
    ("~nobody_of_that_name/run", "unknown user"),
    ("{tmp}/dangling", "a broken link"),
    ("{tmp}/dangling/run", "a broken link"),
    ("{tmp}/loop/run", "a broken link"),
  ],
)
def test_workdirs_that_cannot_be_are_refused(name, words, tmp_path):
  (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
  (tmp_path / "loop").symlink_to(tmp_path / "loop")
  with pytest.raises(UserError, match=words):
    files.folder_named(name.format(tmp=tmp_path), "--workdir")
  assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "loop"]


@pytest.mark.parametrize("value", ["", "a,,b", "a,", "b" * 300])
def test_reports_refuse_folders_without_a_name(value):
  words = ["--mode=report", f"--workdir={value}"]
  with command_lines.parsed(*words) as main, pytest.raises(UserError, match=r"^--workdir"):
    main.main(["main"])


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_runs_refuse_folders_without_a_name(mode):
  words = [f"--mode={mode}", "--workdir=", f"--config={ROOT}/configs/agw_synthetic.py:smoke"]
  with command_lines.parsed(*words) as main, pytest.raises(UserError, match="--workdir is empty"):
    main.main(["main"])


def test_other_workdirs_are_taken_as_they_are(tmp_path):
  (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
  for path in (tmp_path / "größe run", tmp_path / "link" / "new"):
    assert files.folder_named(str(path), "--workdir") == path


def test_a_place_is_tried_without_leaving_a_trace(tmp_path):
  files.check_writable(tmp_path / "a" / "b", "--out")
  assert not list(tmp_path.iterdir())
  (tmp_path / "file").touch()
  for place in (tmp_path / "file", tmp_path / "file" / "below"):
    with pytest.raises(UserError, match=r"cannot write .*choose another --out"):
      files.check_writable(place, "--out")


def test_a_new_file_appears_whole_and_never_replaces_what_is_no_file(tmp_path):
  path = tmp_path / "new" / ("名" * 80)
  with files.new_file(path, "--out") as file:
    file.write(b"content")
    (partial,) = (tmp_path / "new").iterdir()
    assert partial.suffix == files.PARTIAL and not path.exists()
  assert path.read_bytes() == b"content" and list(path.parent.iterdir()) == [path]
  assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
  with pytest.raises(ZeroDivisionError), files.new_file(path, "--out"):
    raise ZeroDivisionError
  assert path.read_bytes() == b"content" and list(path.parent.iterdir()) == [path]
  os.mkfifo(tmp_path / "pipe")
  for other in (tmp_path / "pipe", tmp_path):
    with pytest.raises(UserError, match="not a regular file"), files.new_file(other, "--out"):
      pass
  assert (tmp_path / "pipe").is_fifo()


def _umask():
  mask = os.umask(0)
  os.umask(mask)
  return mask


@pytest.mark.parametrize("name", ["SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"])
def test_a_launcher_s_number_that_is_none_is_refused(name):
  environment = dict.fromkeys(distributed.SLURM, "1") | {name: "2(x3)"}
  with pytest.raises(UserError, match=rf"{name}='2\(x3\)', which is not a number"):
    distributed.detect(environment)


def test_an_error_that_follows_a_stop_is_a_stop():
  """A library may turn a stop into an error of its own and drop where it came from."""
  script = """
from vireid_jax.cli import app
from vireid_jax.common import interrupts
from vireid_jax.common.errors import UserError
import os, signal, time
def main():
  try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
  except interrupts.Stopped:
    pass
  raise UserError("the checkpoint cannot be read")
app.start(main)
"""
  done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
  assert done.returncode == interrupts.EXIT_STOPPED
  assert "cannot be read" not in done.stderr
