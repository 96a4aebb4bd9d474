"""Preparing where there is no room, and from files that change meanwhile."""

import os
import subprocess
import sys

import owner_trees
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.data import layout, preparing

LIMITED = """
import resource, signal, sys
from vireid_jax import prepare
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
sys.exit(prepare.main(["regdb", "--manual_dir", sys.argv[1], "--data_dir", sys.argv[2]]))
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
  tree = owner_trees.regdb(tmp_path / "tree")
  data = tmp_path / "data"
  child = subprocess.run(
    [sys.executable, "-c", LIMITED, tree, data], capture_output=True, text=True, check=False
  )
  last = child.stderr.strip().splitlines()[-1]
  assert child.returncode == 1, child.stderr
  assert last.startswith(f"error: cannot write to {data}: the file would exceed")
  assert "Traceback" not in child.stderr
  assert os.listdir(data) == []  # noqa: PTH208


def test_a_file_that_goes_while_it_is_stored_is_named(tmp_path, monkeypatch):
  tree = owner_trees.regdb(tmp_path / "tree")
  checked = preparing._without_corrupt

  def then_gone(*arguments):
    found = checked(*arguments)
    (tree / "Thermal/2/male_back_t_00001_2.bmp").unlink()
    return found

  monkeypatch.setattr(preparing, "_without_corrupt", then_gone)
  with pytest.raises(UserError, match=r"t_00001_2\.bmp can no longer be read"):
    preparing.prepare("regdb", data_dir=tmp_path / "data", manual_dir=tree)
  assert os.listdir(tmp_path / "data") == []  # noqa: PTH208


def test_names_that_are_not_utf8_are_refused_escaped(tmp_path):
  tree = owner_trees.sysu(tmp_path / "tree")
  odd = os.fsencode(tree / "cam1/0001/") + b"/0004\xff\x1b[31m.jpg"
  with open(odd, "wb") as file:  # noqa: PTH123
    file.write((tree / "cam1/0001/0001.jpg").read_bytes())
  message = r"cam1/0001/0004\\xff\\x1b\[31m.jpg is not UTF-8. Rename these files"
  with pytest.raises(UserError, match=message):
    layout.read("sysu_mm01", tree)


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300, "link"])
def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path, place):
  (tmp_path / "file").write_text("")
  (tmp_path / "link").symlink_to(tmp_path / "link")
  tree = owner_trees.regdb(tmp_path / "tree")
  with pytest.raises(UserError, match=r"cannot write to .*--data_dir"):
    preparing.prepare("regdb", data_dir=tmp_path / place, manual_dir=tree)


def test_a_place_whose_name_is_not_utf8_is_refused(tmp_path):
  tree = owner_trees.regdb(tmp_path / "tree")
  place = os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff")
  with pytest.raises(UserError, match=r"cannot write to .*/odd\\xff: the name is not UTF-8"):
    preparing.prepare("regdb", data_dir=place, manual_dir=tree)
