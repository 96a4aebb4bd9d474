"""Shares of an embedding: joined they equal one process bit for bit, and a killed one continues."""

import csv
import io
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import trained_models

from vireid_jax import embed
from vireid_jax.common.errors import UserError
from vireid_jax.retrieval import model as model_lib
from vireid_jax.retrieval import shards

PICTURES = 23  # in batches of four: five whole ones and a part of one


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  """A checkpoint and a folder of pictures, a text and a damaged picture."""
  root = tmp_path_factory.mktemp("site")
  trained_models.save(root / "run", "toys.linear")
  trained_models.pictures(root / "photos", PICTURES)
  (root / "photos" / "11.txt").write_text("not a picture")
  (root / "photos" / "5.jpg").write_bytes(b"\xff\xd8\xff damaged")
  (root / "photos" / "pipe").symlink_to(root / "nowhere")
  return root


def words(site, out, *more, checkpoint="run", batch=4):
  return [
    *("--checkpoint", str(site / checkpoint), "--images", str(site / "photos")),
    *("--modality", "visible", "--out", str(out), "--batch", str(batch), *more),
  ]


@pytest.fixture(scope="module")
def whole(site):
  """The file that one process writes."""
  assert embed.main(words(site, site / "whole.npz")) == 0
  return (site / "whole.npz").read_bytes()


def test_four_shares_in_any_order_join_to_the_file_of_one_process(
  site, whole, tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(shards, "BATCHES", 1)
  out = tmp_path / "joined.npz"
  for number in (2, 0, 3, 1):
    assert embed.main(words(site, out, "--shards", f"{number}/4")) == 0
  assert "share 0/4: 4 files, 0 of them finished before" in capsys.readouterr().out
  assert embed.main(words(site, out, "--merge")) == 0
  assert "joined 7 pieces" in capsys.readouterr().out
  assert out.read_bytes() == whole
  with np.load(out) as found:
    assert found["features"].shape[0] == PICTURES and len(found["names"]) == PICTURES


def test_a_share_that_stopped_keeps_its_pieces(site, whole, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(shards, "BATCHES", 1)
  out, calls, real = tmp_path / "f.npz", [], model_lib.Model.embed_files

  def stops(self, paths, *arguments, **options):
    calls.append(len(paths))
    if len(calls) == 3:
      raise UserError("the machine was switched off")
    return real(self, paths, *arguments, **options)

  monkeypatch.setattr(model_lib.Model, "embed_files", stops)
  assert embed.main(words(site, out, "--shards=0/2")) == 1
  assert len(list((tmp_path / "f.npz.shards").iterdir())) == 2
  assert embed.main(words(site, out, "--shards", "0/2", "--format", "csv")) == 0
  row = next(csv.DictReader(io.StringIO(capsys.readouterr().out)))
  assert (row["share"], row["files"], row["kept"]) == ("0/2", "12", "8") and calls == [4] * 4
  assert embed.main(words(site, out, "--merge")) == 1
  assert "lacks 19.png and files after it" in capsys.readouterr().err and not out.exists()
  assert embed.main(words(site, out, "--shards", "1/2")) == embed.main(words(site, out, "--merge"))
  assert out.read_bytes() == whole


def test_pieces_of_other_files_or_another_batch_are_not_joined(site, tmp_path, capsys):
  out = tmp_path / "f.npz"
  assert embed.main(words(site, out, "--shards", "0/1")) == 0
  assert embed.main(words(site, out, "--merge", batch=8)) == 1
  assert "or was made from other files or another checkpoint" in capsys.readouterr().err
  assert embed.main(words(site, out, "--merge", "--raw")) == 1
  piece = next((tmp_path / "f.npz.shards").iterdir())
  piece.write_bytes(piece.read_bytes()[:100])
  assert embed.main(words(site, out, "--merge")) == 1


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "a/b", "0/0", "1/2/3", ""])
def test_odd_shares_are_refused(text):
  with pytest.raises(UserError, match="expected i/n, the share i of n"):
    shards.parse(text)


@pytest.mark.parametrize("files", [0, 1, 7, 64, 1000])
@pytest.mark.parametrize("count", [1, 3, 50])
def test_shares_cover_all_files_once(tmp_path, files, count):
  work = shards.Work([str(n) for n in range(files)], {}, tmp_path, 3, tmp_path, "")
  pieces = [rows for n in range(count) for rows in work.share(shards.Shard(n, count))]
  assert [row for rows in pieces for row in range(files)[rows]] == list(range(files))
  assert all(rows.start % 3 == 0 for rows in pieces)


@pytest.mark.slow
def test_four_processes_equal_one_and_a_killed_one_continues(tmp_path):
  trained_models.save(tmp_path / "run", "agw")
  trained_models.pictures(tmp_path / "photos", 150)
  command = [sys.executable, "-m", "vireid_jax.embed"]
  subprocess.run([*command, *words(tmp_path, tmp_path / "one.npz", batch=2)], check=True)
  out = tmp_path / "four.npz"
  shares = [words(tmp_path, out, "--shards", f"{n}/4", batch=2) for n in range(4)]
  killed = subprocess.Popen([*command, *shares[0]])
  folder = tmp_path / "four.npz.shards"
  while not list(folder.glob("[0-9]*.npz")) and killed.poll() is None:
    os.sched_yield()
  killed.send_signal(signal.SIGKILL)
  killed.wait()
  running = [subprocess.Popen([*command, *share]) for share in shares]
  assert [process.wait() for process in running] == [0] * 4
  subprocess.run([*command, *words(tmp_path, out, "--merge", batch=2)], check=True)
  assert out.read_bytes() == (tmp_path / "one.npz").read_bytes()
