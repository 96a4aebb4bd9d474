"""Files that several write at once, or that are killed while written: one whole content or none."""

import concurrent.futures
import pathlib
import re
import signal
import subprocess
import sys

from vireid_jax.common import files

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "vireid_jax"

KILLED = """
import os, pathlib, signal, sys
from vireid_jax.common import files

with files.replacing(pathlib.Path(sys.argv[1])) as file:
  file.write(b"new")
  file.flush()
  os.kill(os.getpid(), signal.SIGKILL)
"""


def test_writers_of_one_file_do_not_meet(tmp_path):
  path = tmp_path / "index.npz"
  contents = [bytes([number]) * 50_000 for number in range(8)]

  def write(content):
    for _ in range(25):
      with files.replacing(path) as file:
        for start in range(0, len(content), 10_000):
          file.write(content[start : start + 10_000])
      assert path.read_bytes() in contents

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for done in [pool.submit(write, content) for content in contents]:
      done.result()
  assert list(tmp_path.iterdir()) == [path]


def test_a_kill_while_writing_leaves_the_old_content(tmp_path):
  path = tmp_path / "table.md"
  path.write_bytes(b"old")
  done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT)
  assert done.returncode == -signal.SIGKILL
  assert path.read_bytes() == b"old"
  (left,) = set(tmp_path.iterdir()) - {path}
  assert re.fullmatch(r"\.table\.md\.[0-9a-f]{16}\.partial", left.name)


def test_a_folder_that_is_temporary_goes_with_an_error_too(tmp_path):
  for ending in (None, ZeroDivisionError, KeyboardInterrupt):
    try:
      with files.temporary_folder(tmp_path / "parent" / "folder") as folder:
        (folder / "file").touch()
        if ending:
          raise ending
    except (ZeroDivisionError, KeyboardInterrupt):
      pass
    assert not list((tmp_path / "parent").iterdir())


def test_nothing_else_in_the_package_makes_names_for_partial_files():
  """Fixed names collide: `files` makes the only ones."""
  ours = [path for path in PACKAGE.rglob("*.py") if path.name not in ("files.py", "interrupts.py")]
  found = [path.name for path in ours if re.search(r"\.partial\b[\"'}]", path.read_text())]
  assert found == []
