"""Reading prepared data sets, the cache, and the batches made of it."""

import io

import config_files
import jax
import numpy as np
import pytest
from PIL import Image

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.data import rendered
from vireid_jax.data.prepared import cache, source
from vireid_jax.data.training import pipeline
from vireid_jax.runtime import mesh as mesh_lib

SAMPLER = {"name": "pairs", "num_identities": 2, "num_instances": 3}


def png(pixels):
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, "PNG")
  return buffer.getvalue()


def random_images(count=24, size=(6, 4), identities=4):
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (count, *size, 3), np.uint8)
  modality = np.arange(count) % 2
  identity = np.arange(count) // 2 % identities
  records = Records(identity, np.ones(count), modality, [f"{i}.png" for i in range(count)])
  return source.ImageSet(records, [png(p) for p in pixels]), pixels


def train_data(images, **changes):
  options = {"size": (6, 4), "resize": "lanczos", "seed": 0, "sampler_config": SAMPLER}
  return pipeline.TrainData(images, **{**options, **changes})


@pytest.fixture(scope="module")
def regdb(data_dir):
  config = config_files.smoke("agw_regdb", data_dir)
  rendered.ensure(config.data)
  return source.Dataset("regdb", rendered.data_dir(config.data))


def test_subsets_split_the_identities(regdb):
  train, test = regdb.load("train_2"), regdb.load("test_2")
  assert regdb.is_synthetic
  assert not set(train.records.identity) & set(test.records.identity)
  assert set(train.records.identity) == set(regdb.subsets["train_2"]["identities"])
  assert len(train) + len(test) == len(regdb.load("full"))
  both = regdb.load("train_2", "test_2")
  np.testing.assert_array_equal(
    both.records.name, np.concatenate([train.records.name, test.records.name])
  )
  assert both.encoded[len(train)] == test.encoded[0]


def test_unknown_split_names_the_nearest(regdb):
  with pytest.raises(UserError, match="no split 'trian_2'; did you mean 'train_2'"):
    regdb.load("trian_2")


def test_decoding_keeps_pixels_and_resizes_with_the_named_filter():
  pixels = np.random.default_rng(1).integers(0, 256, (12, 8, 3), np.uint8)
  np.testing.assert_array_equal(source.decode(png(pixels), (12, 8), "lanczos"), pixels)
  results = {name: source.decode(png(pixels), (6, 4), name) for name in ("lanczos", "bilinear")}
  for name, result in results.items():
    expected = Image.fromarray(pixels).resize((4, 6), Image.Resampling[name.upper()])
    np.testing.assert_array_equal(result, expected)
  assert not np.array_equal(*results.values())
  with pytest.raises(UserError, match=r"data\.resize = 'lanzcos'; did you mean 'lanczos'"):
    source.decode(png(pixels), (6, 4), "lanzcos")


def test_cache_holds_every_image_in_order():
  images, pixels = random_images(150)
  np.testing.assert_array_equal(cache.fill(images, (6, 4), "lanczos"), pixels)


def test_image_that_does_not_decode_is_named():
  images, _ = random_images()
  images.encoded[17] = images.encoded[17][:40]
  with pytest.raises(UserError, match=r"cannot decode 17\.png"):
    cache.fill(images, (6, 4), "lanczos")


def test_batch_gathers_the_sampler_s_rows():
  images, pixels = random_images()
  data = train_data(images)
  indices, batch = data.sampler.batch(5), data.batch(5)
  np.testing.assert_array_equal(batch["visible"], pixels[indices.visible])
  np.testing.assert_array_equal(batch["infrared"], pixels[indices.infrared])
  part = data.batch(5, slice(2, 4))
  np.testing.assert_array_equal(part["visible"], batch["visible"][2:4])
  np.testing.assert_array_equal(part["label"], batch["label"][2:4])


def test_batches_arrive_in_order_from_any_step():
  data, mesh = train_data(random_images()[0]), mesh_lib.make_mesh()
  arrived = list(data.batches(3, 9, mesh))
  assert len(arrived) == 6
  for step, batch in enumerate(arrived, 3):
    jax.tree.map(np.testing.assert_array_equal, dict(batch), data.batch(step))
  assert list(data.batches(4, 4, mesh)) == []


def test_abandoned_batches_leave_no_thread_waiting():
  batches = train_data(random_images()[0]).batches(0, 1000, mesh_lib.make_mesh())
  first = next(batches)
  batches.close()
  assert first["visible"].shape == (6, 6, 4, 3)


def test_unpaired_identities_can_be_dropped():
  images, _ = random_images()
  lonely = images.records.identity == 2
  keep = np.flatnonzero(~(lonely & (images.records.modality == INFRARED)))
  images = source.ImageSet(images.records.take(keep), [images.encoded[i] for i in keep])
  with pytest.raises(UserError, match=r"no infrared image: 2.*drop_unpaired"):
    train_data(images)
  kept = pipeline.drop_unpaired(images)
  np.testing.assert_array_equal(kept.records.identities(), [0, 1, 3])
  assert set(kept.records.modality) == {VISIBLE, INFRARED}
  assert train_data(kept).batch(0)["label"].shape == (6,)


def test_batch_that_devices_do_not_divide_is_refused():
  class FourDevices:
    size = 4

  with pytest.raises(UserError, match=r"10 pairs .* over 4 devices; .* for example 12"):
    mesh_lib.check_divisible(10, FourDevices)
  mesh_lib.check_divisible(12, FourDevices)


def test_unknown_render_preset_is_named(data_dir):
  config = config_files.smoke("agw_llcm", data_dir)
  config.data.render = "smok"
  with pytest.raises(UserError, match="'smok' is not a preset; did you mean 'smoke'"):
    rendered.ensure(config.data)
