"""Shapes, exact parameter counts and the two streams."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import ResNet, feature_size
from vireid_jax.models.two_stream import TwoStreamResNet, merge, merge_labels, split

NUMERICS = Numerics("float32", "xla")
# torchvision's published counts, less the 1000-way classifier.
TORCHVISION = {
  18: 11_689_512 - 512 * 1000 - 1000,
  34: 21_797_672 - 512 * 1000 - 1000,
  50: 25_557_032 - 2048 * 1000 - 1000,
}
STEM = 7 * 7 * 3 * 64 + 2 * 64
IMAGES = jax.ShapeDtypeStruct((2, 64, 32, 3), jnp.float32)


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("depth", TORCHVISION)
def test_parameters_and_map_are_torchvisions_with_last_stride_one(depth):
  network = ResNet(depth, numerics=NUMERICS)
  y, variables = jax.eval_shape(
    lambda x: network.init_with_output(jax.random.key(0), x, train=True), IMAGES
  )
  assert count(variables["params"]) == TORCHVISION[depth]
  assert y.shape == (2, 4, 2, feature_size(depth))


@pytest.mark.parametrize("depth", [18, 50])
def test_specific_depth_doubles_just_the_first_parts(depth):
  whole = TORCHVISION[depth]
  sizes = []
  for specific in range(6):
    network = TwoStreamResNet(depth, num_specific_stages=specific, numerics=NUMERICS)
    variables = jax.eval_shape(
      lambda x, n=network: n.init(jax.random.key(0), x, x, train=True), IMAGES
    )
    sizes.append(count(variables["params"]))
  assert sizes[0] == whole
  assert sizes[1] == whole + STEM
  assert sizes[5] == 2 * whole
  assert sizes == sorted(sizes)


def test_wrong_depths_are_refused():
  with pytest.raises(UserError, match="depth 51"):
    jax.eval_shape(lambda x: ResNet(51).init(jax.random.key(0), x, train=True), IMAGES)
  with pytest.raises(UserError, match="num_specific_stages is 6"):
    network = TwoStreamResNet(18, num_specific_stages=6)
    jax.eval_shape(lambda x: network.init(jax.random.key(0), x, x, train=True), IMAGES)


def test_merge_interleaves_and_split_undoes_it():
  visible, infrared = jnp.arange(3), jnp.arange(10, 13)
  merged = merge(visible, infrared)
  np.testing.assert_array_equal(merged, [0, 10, 1, 11, 2, 12])
  for part, whole in zip(split(merged), (visible, infrared), strict=True):
    np.testing.assert_array_equal(part, whole)


def test_each_modality_runs_through_its_own_stem():
  network = TwoStreamResNet(18, 8, numerics=NUMERICS)
  images = jax.random.normal(jax.random.key(0), (2, 32, 16, 3))
  variables = jax.jit(lambda x: network.init(jax.random.key(1), x, x, train=True))(images)
  changed = jax.tree.map(lambda x: x, variables)
  changed["params"]["infrared"] = jax.tree.map(lambda x: 2 * x + 1, changed["params"]["infrared"])

  @functools.partial(jax.jit, static_argnums=1)
  def single(variables, modality):
    return network.apply(variables, images, modality, method="single")

  np.testing.assert_array_equal(single(variables, "visible"), single(changed, "visible"))
  assert not np.allclose(single(variables, "infrared"), single(changed, "infrared"))


def test_both_lowerings_give_the_same_network():
  images = jax.random.normal(jax.random.key(0), (2, 32, 16, 3))
  first = TwoStreamResNet(18, 8, non_local=(0, 1, 1, 0), numerics=Numerics("float32", "xla"))
  second = TwoStreamResNet(18, 8, non_local=(0, 1, 1, 0), numerics=Numerics("float32", "dot"))
  variables = jax.jit(lambda x: first.init(jax.random.key(1), x, x, train=True))(images)
  results = [
    jax.jit(lambda v, n=network: n.apply(v, images, "visible", method="single"))(variables)
    for network in (first, second)
  ]
  np.testing.assert_allclose(*results, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_labels_merge_as_their_rows_do(count):
  labels = jnp.array([7, 7, 3, 3, 0])
  assert merge_labels(labels, count).tolist() == merge(*[labels] * count).tolist()
  assert merge_labels(labels).shape == (10,)
