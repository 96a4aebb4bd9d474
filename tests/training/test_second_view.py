"""A method that trains on two views of the visible images gets both in every step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.config import parts
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training import first_state

SIZE = (16, 16)


def first_step(**operations):
  """Returns the scalars of a first step, with some of the augmentations replaced."""
  config = config_lib.default_config("toys.two_views", "vireid_synthetic")
  config.data.image_size = SIZE
  config.sampler.num_identities, config.sampler.num_instances = 4, 2
  config.augment.visible = config.augment.visible_2 = ("flip()", "normalize()")
  config.augment.update(operations)
  method = methods.create(config.method, num_classes=4, steps_per_epoch=1)
  _, optimizer = parts.make_optimizer(config, method, parts.make_clock(config, 1))
  state = first_state.draw_random(SIZE, 0, method, optimizer, mesh_lib.make_mesh())
  images = np.random.default_rng(0).integers(0, 256, (2, 8, *SIZE, 3)).astype(np.uint8)
  batch = {"visible": images[0], "infrared": images[1], "label": np.arange(8) // 2}
  step = jax.jit(parts.build_step(config, method, optimizer))
  return step(state, jax.tree.map(jnp.asarray, batch))[1]


def test_both_views_are_seen_and_drawn_independently():
  scalars = first_step()
  assert scalars["loss/first"] != scalars["loss/second"]
  again = first_step(visible_2=("normalize()",))
  assert again["loss/first"] == scalars["loss/first"]
  assert again["loss/second"] != scalars["loss/second"]


def test_equal_operations_without_draws_make_equal_views():
  scalars = first_step(visible=("normalize()",), visible_2=("normalize()",))
  assert float(scalars["loss/first"]) == pytest.approx(float(scalars["loss/second"]), rel=1e-6)
