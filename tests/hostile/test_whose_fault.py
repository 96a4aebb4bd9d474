"""Errors of the disk while a run writes: the file that they name is named, and no other."""

import errno

import pytest

from vireid_jax.common import files
from vireid_jax.common.errors import UserError

DENIED = "Permission denied"


@pytest.mark.parametrize(
  "error, said",
  [
    (
      OSError(errno.EACCES, DENIED, "/data/sets/a.array_record"),
      "/data/sets/a.array_record cannot",
    ),
    (OSError(errno.EACCES, DENIED, b"/data/b"), "/data/b cannot be read or written: Permission"),
    (
      RuntimeError(f"PERMISSION_DENIED: {DENIED}; open /data/c-0-of-1"),
      "/data/c-0-of-1 can",
    ),
    (OSError(errno.EROFS, "Read-only file system", "/cache/\x1b[31m"), r"/cache/\\x1b\[31m cannot"),
    (OSError(errno.EACCES, DENIED, "{workdir}/metrics.jsonl"), "cannot write to .*run"),
    (OSError(errno.EACCES, DENIED, "{parent}"), "cannot write to .*run"),
    (OSError(errno.ENOSPC, "No space left on device"), "cannot write to .*run: the disk is full"),
    (
      ValueError("No space left on device [a/b/c.cc:7]"),
      "cannot write to .*run: the disk",
    ),
    (
      ValueError("Error writing '{workdir}/checkpoints/4': File too large"),
      "cannot write to .*run",
    ),
  ],
)
def test_what_cannot_be_read_is_not_called_the_workdir(error, said, tmp_path):
  workdir = tmp_path / "run"
  places = {"workdir": str(workdir), "parent": str(tmp_path)}
  if isinstance(error, OSError) and isinstance(error.filename, str):
    error.filename = error.filename.format(**places)
  elif not isinstance(error, OSError):
    error = type(error)(str(error).format(**places))
  with (
    pytest.raises(UserError, match=said),
    files.user_errors_for_writes(workdir, lambda: "Step 3 is kept. "),
  ):
    raise error


def test_other_errors_pass_and_relative_paths_count(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(KeyError), files.user_errors_for_writes(tmp_path / "run"):
    raise KeyError("x")
  with (
    pytest.raises(UserError, match=r"write to .*run: "),
    files.user_errors_for_writes(tmp_path / "run"),
  ):
    raise OSError(errno.EACCES, DENIED, "run/metrics.jsonl")
