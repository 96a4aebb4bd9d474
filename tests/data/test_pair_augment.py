"""Operations that a pair of images shares, and the optional `mix` of a method in the step."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.data.training.augment import make_pair_pipeline
from vireid_jax.methods.base import LossOutput
from vireid_jax.training import state as state_lib
from vireid_jax.training import step as step_lib


def batch_of(pairs=8, size=(6, 4), masks=True):
  # Both images and both masks of a pair are equal, so that they must stay equal.
  generator = np.random.default_rng(0)
  image = jnp.asarray(generator.integers(1, 255, (pairs, *size, 3)), jnp.uint8)
  batch = {"visible": image, "infrared": image, "label": jnp.arange(pairs) // 2}
  mask = image[..., :1]
  return {**batch, "visible_mask": mask, "infrared_mask": mask} if masks else batch


def test_both_images_and_their_masks_see_the_same_draws():
  augment = jax.jit(make_pair_pipeline(("flip()", "pad_crop(padding=2, fill=255)")))
  batch = batch_of()
  moved = augment(jax.random.key(0), batch)
  assert moved["visible"].dtype == moved["visible_mask"].dtype == jnp.uint8
  np.testing.assert_array_equal(moved["visible"], moved["infrared"])
  np.testing.assert_array_equal(moved["visible_mask"], moved["infrared_mask"])
  inside = np.asarray(moved["visible"] != 255).all(-1)
  np.testing.assert_array_equal(
    moved["visible_mask"][..., 0], np.where(inside, moved["visible"][..., 0], 0)
  )
  assert not np.array_equal(moved["visible"], batch["visible"])
  np.testing.assert_array_equal(moved["label"], batch["label"])


def test_without_masks_and_each_pair_on_its_own():
  batch = batch_of(64, masks=False)
  moved = jax.jit(make_pair_pipeline(("flip()",)))(jax.random.key(3), batch)
  assert set(moved) == {"visible", "infrared", "label"}
  flipped = np.array(
    [np.array_equal(a, b[:, ::-1]) for a, b in zip(moved["visible"], batch["visible"], strict=True)]
  )
  same = np.array(
    [np.array_equal(a, b) for a, b in zip(moved["infrared"], batch["infrared"], strict=True)]
  )
  np.testing.assert_array_equal(flipped, ~same)
  assert 16 < flipped.sum() < 48


def test_operations_that_change_pixels_are_refused():
  with pytest.raises(UserError, match=r"augment.pair: 'luma\(\)'.*allowed: pad_crop, flip"):
    make_pair_pipeline(("flip()", "luma()"))


@dataclasses.dataclass(frozen=True)
class Plain:
  """The loss is the mean pixel."""

  def loss(self, variables, batch, *, rngs, step):
    """Of the visible images, times a parameter."""
    del rngs, step
    mean = batch["visible"].astype(jnp.float32).mean() * variables["params"]["w"]
    return LossOutput({"mean": mean}, {}, {})


@dataclasses.dataclass(frozen=True)
class Mixing(Plain):
  """Adds the step and the statistics to the images before they are augmented."""

  def mix(self, variables, batch, *, rngs, step):
    """Sees bytes."""
    assert batch["visible"].dtype == jnp.uint8 and "visible_mask" in batch
    shift = (step + variables["params"]["w"]).astype(jnp.uint8)
    noise = jax.random.bernoulli(rngs).astype(jnp.uint8)
    return {**batch, "visible": batch["visible"] // 2 + shift + 100 * noise}


def run_step(method, augment_pair=None):
  optimizer = optax.sgd(0.0)
  state = state_lib.create({"params": {"w": jnp.float32(1)}}, optimizer)
  seen = {}

  def augment(key, batch):
    seen.update(batch, key=key)
    return {name: batch[name] for name in ("visible", "infrared", "label")}

  step = step_lib.make_train_step(method, optimizer, augment, seed=0, augment_pair=augment_pair)
  step(state, batch_of())
  return seen


def test_mix_stands_between_the_shared_and_the_single_operations():
  pair = make_pair_pipeline(("flip(probability=1.0)",))
  plain, mixed = run_step(Plain()), run_step(Mixing(), pair)
  assert jax.random.key_data(plain["key"]).tolist() == jax.random.key_data(mixed["key"]).tolist()
  np.testing.assert_array_equal(mixed["infrared"], plain["infrared"][:, :, ::-1])
  offset = mixed["visible"] - plain["visible"][:, :, ::-1] // 2
  assert len(np.unique(offset)) == 1 and int(offset[0, 0, 0, 0]) in (1, 101)
