"""Files and folders in a bucket, on an emulator: the same content as on a disk, in whole writes."""

import hashlib
import json
import pathlib

import bucket_server
import pytest

from vireid_jax.common import (
  appended,
  bucket_cache,
  cleanup,
  files,
  folders,
  paths,
)
from vireid_jax.common.errors import UserError
from vireid_jax.common.workdir_files import LOCK
from vireid_jax.runtime import bucket_lock, workdir_lock

pytest.importorskip("gcsfs")


@pytest.fixture(scope="module")
def address():
  with bucket_server.serving() as address:
    yield address


@pytest.fixture
def root(address, monkeypatch, tmp_path, request):
  for name, value in bucket_server.environment(address).items():
    monkeypatch.setenv(name, value)
  monkeypatch.setenv(bucket_cache.CACHE_VARIABLE, str(tmp_path / "cache"))
  bucket_server.forget()
  return paths.path(f"gs://{bucket_server.BUCKET}/{request.node.name}")


def tree(folder) -> dict[str, bytes]:
  return {
    path.relative_to(folder).as_posix(): path.read_bytes()
    for path in folder.rglob("*")
    if path.is_file()
  }


def test_a_path_answers_like_a_local_one(root, tmp_path):
  for place in (root, tmp_path / "run"):
    assert not place.exists()
    assert list(place.glob("*")) == []
    (place / "eval").mkdir(parents=True)
    files.write_json(place / "eval" / "step_1[2].json", {"a": 1})
    files.write_text(place / "näme", "ü\n")
    assert sorted(path.name for path in place.iterdir()) == ["eval", "näme"]
    assert [path.stem for path in place.glob("eval/step_*.json")] == ["step_1[2]"]
    assert (place / "eval").is_dir()
    assert not (place / "eval").is_file()
    assert (place / "näme").stat().st_size == 3
    assert (place / "näme").read_text(encoding="utf-8") == "ü\n"
    with (place / "näme").open("rb") as file:
      assert hashlib.file_digest(file, "sha256").digest() == hashlib.sha256("ü\n".encode()).digest()
    assert place.absolute() == place.resolve().absolute() == place
    assert (place / "eval" / "x").relative_to(place).as_posix() == "eval/x"
    with pytest.raises(FileNotFoundError) as caught:
      (place / "none").read_bytes()
    assert caught.value.strerror
    assert caught.value.filename == str(place / "none")
    (place / "näme").unlink()
    (place / "näme").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
      (place / "näme").unlink()
    folders.remove(place)
    assert not place.exists()


def test_a_refused_run_leaves_nothing(root):
  with pytest.raises(UserError), files.made_workdir(root):
    raise UserError("refused")
  assert not root.exists()


def test_an_error_while_writing_leaves_the_old_file(root):
  files.write_text(root / "a", "old")
  with pytest.raises(ZeroDivisionError), files.replacing(root / "a") as file:
    file.write(b"new")
    raise ZeroDivisionError
  assert tree(root) == {"a": b"old"}
  with pytest.raises(UserError, match="is not a regular file"), files.replacing(root):
    pass


def test_a_folder_is_replaced_with_its_mark_last(root, monkeypatch):
  order = []
  upload = type(root).upload
  monkeypatch.setattr(
    type(root), "upload", lambda self, file: (order.append(self.name), upload(self, file))
  )
  for content in ("one", "two"):
    with folders.staged(root / "out") as place:
      (place / "sub").mkdir()
      for name in ("card", "a", f"sub/{content}"):
        (place / name).write_text(content)
      folders.put(place, root / "out", mark="card")
    assert not place.exists()
  assert tree(root / "out") == {"a": b"two", "card": b"two", "sub/two": b"two"}
  assert order == ["a", "one", "card", "a", "two", "card"]


def test_a_copy_is_made_once_and_again_where_the_bucket_changed(root, tmp_path, monkeypatch):
  for name, content in {"a": b"1" * 100, "sub/b": b"2" * 50, "empty": b""}.items():
    (root / name).write_bytes(content)
  copy = bucket_cache.local(root)
  assert copy == tmp_path / "cache/vireid_jax/buckets/bucket" / root.name
  assert {name: data for name, data in tree(copy).items() if name[0] != "."} == tree(root)
  read = []
  monkeypatch.setattr(bucket_cache, "_copy", lambda source, *_: read.append(source.name))
  bucket_cache.local(root)
  assert read == []
  (root / "a").write_bytes(b"3" * 100)
  (copy / "sub/b").write_bytes(b"2" * 49)
  bucket_cache.local(root)
  assert sorted(read) == ["a", "b"]


def test_a_stopped_copy_goes_on_where_it_was(root, monkeypatch):
  (root / "a").write_bytes(bytes(range(250)))
  monkeypatch.setattr(bucket_cache, "BLOCK", 100)
  read_range, ranges = type(root).read_range, []

  def stopping(self, start, end):
    if start == 200 and (0, 100) in ranges and (200, 250) not in ranges:
      ranges.append((200, 250))
      raise KeyboardInterrupt
    ranges.append((start, end))
    return read_range(self, start, end)

  monkeypatch.setattr(type(root), "read_range", stopping)
  with pytest.raises(KeyboardInterrupt):
    bucket_cache.local(root / "a")
  ranges.clear()
  assert bucket_cache.local(root / "a").read_bytes() == bytes(range(250))
  assert ranges == [(200, 250)]


def test_a_copy_that_differs_from_its_fingerprint_is_refused(root, monkeypatch):
  (root / "a").write_bytes(b"right")
  monkeypatch.setattr(type(root), "read_range", lambda *_: b"wrong")
  with pytest.raises(UserError, match="differs from its fingerprint"):
    bucket_cache.local(root / "a")


def test_a_local_place_is_its_own_copy(tmp_path):
  assert bucket_cache.local(tmp_path) is tmp_path


def test_lines_are_kept_and_a_broken_one_completed(root, tmp_path, monkeypatch):
  for place in (root, tmp_path):
    files.write_text(place / "metrics.jsonl", "one\ntw")
    lines = appended.open_lines(place / "metrics.jsonl")
    lines.write("three\n")
    lines.sync()
    assert (place / "metrics.jsonl").read_bytes() == b"one\ntw\nthree\n"
    lines.write("four\n")
    lines.close()
    assert (place / "metrics.jsonl").read_bytes() == b"one\ntw\nthree\nfour\n"


def test_lines_are_written_without_a_sync_after_a_while(root, monkeypatch):
  lines = appended.open_lines(root / "a")
  lines.write("one\n")
  assert not (root / "a").exists()
  monkeypatch.setattr(appended, "EVERY", 0.0)
  lines.write("two\n")
  assert (root / "a").read_bytes() == b"one\ntwo\n"


def test_a_mirror_copies_what_has_grown_and_leaves_nothing_here(root, tmp_path):
  mirror = appended.Mirror(root)
  (mirror.folder / "sub").mkdir()
  (mirror.folder / "sub" / "a").write_text("1")
  mirror.sync()
  assert tree(root) == {"sub/a": b"1"}
  (mirror.folder / "sub" / "a").write_text("12")
  mirror.close()
  assert tree(root) == {"sub/a": b"12"}
  assert not mirror.folder.exists()
  local = appended.Mirror(tmp_path)
  local.close()
  assert local.folder == tmp_path
  assert tmp_path.exists()


def test_a_mirror_removes_what_a_killed_process_left_for_its_target_alone(root):
  alive, other = appended.Mirror(root), appended.Mirror(root / "other")
  left = alive.folder.with_name(f"{alive.folder.name[:-8]}00000000")
  left.mkdir()
  (left / "events").write_text("1")
  appended.Mirror(root).close()
  assert not left.exists()
  assert alive.folder.exists() and other.folder.exists()
  alive.close()
  other.close()


def test_one_run_at_a_time(root, monkeypatch):
  monkeypatch.setattr(bucket_lock, "BEAT", 0.01)
  monkeypatch.setattr(bucket_lock, "POLL", 0.0)  # until the holder's next heartbeat
  with workdir_lock.hold(root):
    refused = pytest.raises(UserError, match=rf"{root} is in use: process \d+ on .*--workdir")
    with refused, workdir_lock.hold(root):
      pass
  assert not (root / LOCK).exists()
  with workdir_lock.hold(root):
    pass


@pytest.mark.parametrize("other", [{"host": "elsewhere", "boot": "another"}, {"started": "0"}])
def test_a_dead_run_is_outlived(root, monkeypatch, other):
  holder = {**bucket_lock._process(), "beat": 3, **other}
  (root / LOCK).write_bytes(json.dumps(holder).encode())
  waited = []
  monkeypatch.setattr(bucket_lock.time, "sleep", waited.append)
  with workdir_lock.hold(root):
    assert json.loads((root / LOCK).read_bytes())["beat"] == 0
  # A process of this machine is known to have ended; any other may only be silent.
  assert sum(waited) == (0 if "started" in other else pytest.approx(bucket_lock.SILENCE, abs=5))


def test_a_lock_is_taken_over_by_one(root, monkeypatch):
  (root / LOCK).write_bytes(b"{}")
  monkeypatch.setattr(bucket_lock, "SILENCE", 0.0)
  first, second = (bucket_lock._Lock(root) for _ in range(2))
  generation = (root / LOCK).info()["generation"]
  assert [lock._write(generation) for lock in (first, second)] == [True, False]


def test_a_run_that_was_taken_for_dead_ends(root, monkeypatch, capsys):
  ended = []
  monkeypatch.setattr(cleanup, "end", ended.append)
  monkeypatch.setattr(bucket_lock, "BEAT", 0.0)
  lock = bucket_lock._Lock(root)
  lock.take()
  (root / LOCK).write_bytes(b"another")

  class Once:
    def wait(self, _):
      return bool(ended)

  lock.beat(Once())
  assert ended == [1]
  assert f"trains in its workdir {root}" in capsys.readouterr().err
  lock.release()
  assert (root / LOCK).read_bytes() == b"another"


def test_a_lost_answer_is_not_a_lost_lock(root, monkeypatch):
  lock = bucket_lock._Lock(root)
  lock.take()
  write_over = type(root).write_over
  monkeypatch.setattr(
    type(root), "write_over", lambda self, *given: (write_over(self, *given), None)[1]
  )
  assert lock._write(lock._generation)
  lock.release()
  assert not (root / LOCK).exists()


def test_names_relative_to_a_common_folder(root):
  one, other = root / "runs/a", root / "runs/b"
  assert paths.common_folder([one, other]) == root / "runs"
  assert paths.common_folder([one, pathlib.Path("/runs/a")]) is None
  assert paths.below(one, root / "runs") == "a"
  assert paths.below(one, None) == str(one)
  assert paths.below(root, root) == root.name
