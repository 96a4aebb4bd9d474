"""Images on disk, in memory or on the devices: the same batches bit for bit, chosen by size."""

import config_files
import jax
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.data import rendered
from vireid_jax.data.prepared import source
from vireid_jax.data.prepared.stored import StoredPictures
from vireid_jax.data.training import pipeline, placement
from vireid_jax.runtime import mesh as mesh_lib

GIB = 2**30


@pytest.fixture(scope="module")
def regdb(data_dir):
  config = config_files.smoke("agw_regdb", data_dir)
  rendered.ensure(config.data)
  return source.Dataset("regdb", rendered.data_dir(config.data))


def make(dataset, where, sampler="pairs"):
  images = dataset.load("train_1", masks=True, on_disk=where == placement.STREAM)
  return pipeline.TrainData(
    images,
    size=(24, 12),
    resize="lanczos",
    seed=3,
    sampler_config={"name": sampler, "num_identities": 2, "num_instances": 2},
    placement=where,
  )


def batches(data, first, last):
  mesh = mesh_lib.make_mesh()
  placed = data.place(mesh)
  complete = jax.jit(data.complete)
  return [
    jax.tree.map(np.asarray, complete(batch, *placed)) for batch in data.batches(first, last, mesh)
  ]


@pytest.mark.parametrize("where", (placement.STREAM, placement.DEVICE))
@pytest.mark.parametrize("sampler", ("pairs", "groups", "any_modality"))
def test_batches_do_not_depend_on_where_the_images_are(regdb, where, sampler):
  wanted, data = make(regdb, placement.HOST, sampler), make(regdb, where, sampler)
  assert data.steps_per_epoch == wanted.steps_per_epoch
  assert data.fingerprint == wanted.fingerprint
  first, last = data.steps_per_epoch - 2, data.steps_per_epoch + 4
  found = batches(data, first, last)
  assert len(found) == 6 and set(found[0]) == {
    *("visible", "infrared", "visible_mask", "infrared_mask", "label"),
    *(("modality",) if sampler == "any_modality" else ()),
  }
  for step, batch in enumerate(found, start=first):
    jax.tree.map(np.testing.assert_array_equal, batch, wanted.batch(step))
  jax.tree.map(
    np.testing.assert_array_equal, data.batch(first, slice(1, 3)), wanted.batch(first, slice(1, 3))
  )


def test_stopping_a_stream_early_and_asking_for_nothing(regdb):
  data, mesh = make(regdb, placement.STREAM), mesh_lib.make_mesh()
  stream = data.batches(0, 50, mesh)
  np.testing.assert_array_equal(next(stream)["visible"], data.batch(0)["visible"])
  stream.close()
  assert list(data.batches(4, 4, mesh)) == []


def test_images_on_disk_are_those_in_memory(regdb):
  memory = regdb.load("train_2", "test_2", masks=True)
  disk = regdb.load("train_2", "test_2", masks=True, on_disk=True)
  assert isinstance(disk.encoded, StoredPictures) and isinstance(disk.masks, StoredPictures)
  assert list(disk.encoded) == memory.encoded and list(disk.masks) == memory.masks
  rows = np.array([len(memory) - 1, 0, 3])
  assert list(disk.take(rows).encoded) == memory.take(rows).encoded
  assert disk.fingerprint() == memory.fingerprint()
  assert disk.take(rows).fingerprint() == memory.take(rows).fingerprint() != memory.fingerprint()
  assert regdb.count("train_2", "test_2") >= len(memory)


def test_a_broken_image_is_named_in_a_stream(regdb):
  images = regdb.load("train_1")
  images.encoded[:] = [picture[:40] for picture in images.encoded]
  data = pipeline.TrainData(
    images,
    size=(24, 12),
    resize="lanczos",
    seed=0,
    sampler_config={"name": "pairs", "num_identities": 2, "num_instances": 2},
    placement=placement.STREAM,
  )
  with pytest.raises(UserError, match=r"cannot decode .*_\d+\.bmp"):
    list(data.batches(0, 2, mesh_lib.make_mesh()))


@pytest.mark.parametrize(
  "needed, device, host, expected, reason",
  [
    (4 * GIB, 80 * GIB, 100 * GIB, "device", "4.00 GiB decoded, within 30% of each device's 80.00"),
    (40 * GIB, 80 * GIB, 100 * GIB, "host", "40.00 GiB decoded; each device has 80.00 GiB"),
    (4 * GIB, None, 100 * GIB, "host", "no accelerator"),
    (61 * GIB, None, 100 * GIB, "stream", "more than 60% of the host's free 100.00 GiB"),
    (400 * GIB, 80 * GIB, 100 * GIB, "stream", "more than 60%"),
    (4 * GIB, None, None, "host", "no accelerator"),
  ],
)
def test_size_decides(needed, device, host, expected, reason):
  decision = placement.decide(needed, device, host)
  assert decision.name == expected and reason in decision.reason


def test_a_wish_is_followed_and_a_typo_refused():
  assert placement.choose("stream", 1).name == "stream"
  assert placement.choose("auto", 2**20).name == "host"
  assert placement.choose("auto", 2**60).name == "stream"
  with pytest.raises(UserError, match="did you mean 'device'"):
    placement.check("devise")
  assert placement.host_memory() > 2**20


def write(folder, **files):
  folder.mkdir(parents=True, exist_ok=True)
  for name, content in files.items():
    (folder / name.replace("__", ".")).write_text(f"{content}\n")


@pytest.fixture
def groups(tmp_path, monkeypatch):
  """A tree of control groups instead of this machine's; this process is in jobs/mine."""
  monkeypatch.setattr(placement, "CGROUP", tmp_path / "fs")
  monkeypatch.setattr(placement, "PROCESS_GROUPS", tmp_path / "self")
  (tmp_path / "self").write_text("12:cpu:/\n5:hugetlb,memory:/jobs/mine\n0::/jobs/mine\n")
  return tmp_path / "fs"


USED = {"memory__current": 1000, "memory__stat": "anon 700\ninactive_file 250\nactive_file 50"}


def test_a_container_s_limit_counts_and_its_page_cache_is_free(groups):
  write(groups, memory__max=3000, **USED)
  assert placement.host_memory() == 2250


def test_the_tightest_of_the_groups_around_counts(groups):
  write(groups / "jobs" / "mine", memory__max="max", **USED)
  write(groups / "jobs", memory__max=2000, **USED)
  write(groups, memory__max=9000, **USED)
  assert placement.host_memory() == 1250


def test_version_1_counts(groups):
  used = {"memory__usage_in_bytes": 1000, "memory__stat": "cache 400\ntotal_inactive_file 300"}
  write(groups / "memory", memory__limit_in_bytes=2**63 - 4096, **used)
  write(groups / "memory" / "jobs" / "mine", memory__limit_in_bytes=5000, **used)
  assert placement.host_memory() == 4300


def test_a_group_that_says_nothing_leaves_the_machine_s_memory(groups):
  whole = placement.host_memory()
  write(groups, memory__max="nonsense", memory__current="")
  assert whole is None or placement.host_memory() > 2**20
