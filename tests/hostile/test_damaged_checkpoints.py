"""Damaged checkpoints: every reader gives what was saved, or the same one line."""

import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.common import workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.training import checkpoint_folders, checkpoint_seal
from vireid_jax.training.checkpoint import Checkpoints
from vireid_jax.training.state import TrainState

# pytest's hook takes the place of the one that keeps Orbax's abandoned reads quiet.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
STEP = 4
META = {"config": {"seed": 3}, "identities": [5, 7]}
SHARDING = jax.sharding.SingleDeviceSharding(jax.devices()[0])
REFUSAL = r"checkpoint 4 in .* cannot be read: .+\. Checkpoints here: \[4\]; move the broken folder"


def state_of(step):
  keys = jax.random.split(jax.random.key(step), 2)
  params = {"head": {"kernel": jax.random.normal(keys[0], (64, 33))}, "scale": jnp.ones(7)}
  moments = ({"mu": jax.random.normal(keys[1], (64, 33))}, jnp.int32(step))
  return TrainState(jnp.int32(step), params, {"batch_stats": {"mean": jnp.arange(5.0)}}, moments)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
  """A workdir with a checkpoint, and the names of its files."""
  workdir = tmp_path_factory.mktemp("good")
  checkpoints = Checkpoints(workdir)
  checkpoints.save(STEP, state_of(STEP), META)
  checkpoints.close()
  folder = workdir / workdir_files.CHECKPOINTS / str(STEP)
  names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
  assert workdir_files.DIGESTS in names and len(names) > 8
  return workdir, names


def truncate(path, rng):
  data = path.read_bytes()
  path.write_bytes(data[: rng.integers(len(data))])


def flip(path, rng):
  data = bytearray(path.read_bytes())
  data[rng.integers(len(data))] ^= 1 << rng.integers(8)
  path.write_bytes(data)


def swap(path, rng):
  data = bytearray(path.read_bytes())
  data[rng.integers(len(data))] = rng.integers(256)
  path.write_bytes(data)


def delete(path, rng):
  path.unlink()


def empty(path, rng):
  path.write_bytes(b"")


def zeros(path, rng):
  path.write_bytes(bytes(path.stat().st_size))


def noise(path, rng):
  path.write_bytes(rng.bytes(path.stat().st_size))


def append(path, rng):
  path.write_bytes(path.read_bytes() + rng.bytes(20))


def folder(path, rng):
  path.unlink()
  path.mkdir()


def dangle(path, rng):
  path.unlink()
  path.symlink_to("nowhere")


def insert(path, rng):
  data = path.read_bytes()
  place = rng.integers(len(data) + 1)
  path.write_bytes(data[:place] + rng.bytes(rng.integers(1, 50)) + data[place:])


def repeat(path, rng):
  path.write_bytes(path.read_bytes() * 2)


DAMAGES = (
  *(truncate, flip, swap, delete, empty, zeros, noise, append, folder, dangle, insert, repeat),
)


def equal(one, other):
  pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
  return all(np.array_equal(a, b) for a, b in pairs)


def read_meta(workdir):
  meta = Checkpoints(workdir, keep=None).meta(STEP)
  assert {key: meta[key] for key in META} == META


def read_state(workdir):
  state = state_of(STEP)
  abstract = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=SHARDING), state
  )
  assert equal(Checkpoints(workdir, keep=None).restore(STEP, abstract), state)


def read_variables(workdir):
  loaded = Checkpoints(workdir, keep=None).restore_variables(STEP, SHARDING)
  assert equal(loaded, state_of(STEP).variables)


def read_list(workdir):
  checkpoints = Checkpoints(workdir, keep=None)
  assert (checkpoints.latest(), checkpoints.steps()) == (STEP, [STEP])
  assert checkpoint_folders.newest(workdir) == STEP


READERS = (read_meta, read_state, read_variables, read_list)


def check(good, tmp_path, seed):
  """Damages one file; each reader gives the right content or the refusal, never another error."""
  workdir, names = good
  rng = np.random.default_rng(seed)
  damage, name = DAMAGES[seed % len(DAMAGES)], names[rng.integers(len(names))]
  shutil.copytree(workdir, tmp_path / "run")
  damage(tmp_path / "run" / workdir_files.CHECKPOINTS / str(STEP) / name, rng)
  refused = []
  for read in READERS:
    try:
      read(tmp_path / "run")
    except UserError as error:
      refused.append(read)
      assert re.match(REFUSAL, str(error)), error
  assert read_list not in refused
  shutil.rmtree(tmp_path / "run")


@pytest.mark.parametrize("seed", range(24))
def test_damage(seed, good, tmp_path):
  check(good, tmp_path, seed)


@pytest.mark.slow
def test_much_damage(good, tmp_path):
  for seed in range(36, 1036):
    check(good, tmp_path, seed)


def test_a_flipped_bit_in_an_array_is_no_number(good, tmp_path):
  """Orbax itself reads on: the array is stored without a checksum."""
  workdir, _ = good
  shutil.copytree(workdir, tmp_path, dirs_exist_ok=True)
  path = max(
    (tmp_path / workdir_files.CHECKPOINTS).rglob("*"), key=lambda path: path.stat().st_size
  )
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)
  with pytest.raises(UserError, match=r"its file state/.* is not as it was saved"):
    read_variables(tmp_path)


@pytest.mark.parametrize("name", ["_METADATA", "_sharding", "manifest.ocdbt", "d"])
def test_without_digests_orbax_errors_are_the_same_line(name, good, tmp_path):
  workdir, _ = good
  shutil.copytree(workdir, tmp_path, dirs_exist_ok=True)
  folder = tmp_path / workdir_files.CHECKPOINTS / str(STEP)
  (folder / workdir_files.DIGESTS).unlink()
  for read in READERS:
    read(tmp_path)
  path = folder / "state" / name
  for file in path.iterdir() if path.is_dir() else [path]:
    file.write_bytes(b"[")
  with pytest.raises(UserError, match=REFUSAL):
    read_variables(tmp_path)


def test_damage_to_another_checkpoint_names_that_one(tmp_path):
  checkpoints = Checkpoints(tmp_path, keep=None)
  for step in (2, STEP):
    checkpoints.save(step, state_of(step), META)
  checkpoints.close()
  path = tmp_path / workdir_files.CHECKPOINTS / "2" / checkpoint_folders.METADATA
  path.write_bytes(path.read_bytes().replace(b"commit_timestamp_nsecs", b"commit_timestamp_~secs"))
  with pytest.raises(UserError, match=r"checkpoint 2 in .* cannot be read: .*\[2, 4\]; move"):
    read_meta(tmp_path)
  with pytest.raises(UserError, match=r"checkpoint 2 in .* cannot be read: .*\[2, 4\]; move"):
    Checkpoints(tmp_path).save(6, state_of(6), META)
  shutil.rmtree(path.parent)
  for read in READERS:
    read(tmp_path)


def test_names_of_other_things_are_no_checkpoints(good, tmp_path):
  workdir, _ = good
  shutil.copytree(workdir, tmp_path, dirs_exist_ok=True)
  for name in ("abc", "5.old", "-6", "6" + checkpoint_folders.UNFINISHED, ".hidden"):
    (tmp_path / workdir_files.CHECKPOINTS / name).mkdir()
  (tmp_path / workdir_files.CHECKPOINTS / "7").write_text("a file")
  for read in READERS[:3]:
    read(tmp_path)


def test_digests_are_those_of_the_files(good):
  workdir, names = good
  folder = workdir / workdir_files.CHECKPOINTS / str(STEP)
  digests = json.loads((folder / workdir_files.DIGESTS).read_text())
  assert sorted([*digests, workdir_files.DIGESTS]) == names
  checkpoint_seal.check(folder)


@pytest.mark.parametrize("keep", [0, -1])
def test_the_newest_is_kept_whatever_keep_says(keep, tmp_path):
  checkpoints = Checkpoints(tmp_path, keep=keep)
  for step in (1, 2):
    checkpoints.save(step, state_of(step), META)
  checkpoints.close()
  assert Checkpoints(tmp_path).steps() == [2]
