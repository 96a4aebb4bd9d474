"""Vision Transformers: sizes, patches, positions, chance, names of timm and Hugging Face."""

import functools

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from safetensors import numpy as safetensors

from vireid_jax.common.errors import UserError
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.vit import HEADS, PatchEmbed, ViT, token_grid
from vireid_jax.models.weights import positions

NUMERICS = Numerics("float32", "dot")
SIZE = (48, 32)


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def shapes_of(network, size):
  images = jnp.zeros((1, *size, 3))
  return jax.eval_shape(lambda: network.init(jax.random.key(0), images, train=False))


@pytest.mark.parametrize(
  "name, parameters",
  [
    # timm's, without the classifier of 1,000 classes: 86,567,656 - 769,000 and so on.
    ("vit_b16", 85_798_656),
    ("vit_s16", 21_665_664),
    ("vit_ti16", 5_524_416),
    ("deit_b16", 85_798_656),
    ("deit_s16", 21_665_664),
    ("deit_ti16", 5_524_416),
  ],
)
def test_parameter_counts_at_224(name, parameters):
  assert count(shapes_of(ViT(HEADS[name]), (224, 224))) == parameters


def test_pmt_has_211_tokens_and_as_many_parameters():
  assert token_grid((256, 128), 12) == (21, 10)
  # 14 positions more than at 224 x 224 without overlap.
  assert count(shapes_of(ViT(12, stride=12), (256, 128))) == 85_798_656 + 14 * 768


@pytest.mark.parametrize("stride", [16, 12, 32, 10])
def test_patches_are_a_convolution_without_padding(stride):
  images = jax.random.normal(jax.random.key(0), (2, 50, 37, 3))
  layer = PatchEmbed(8, stride, NUMERICS)
  variables = layer.init(jax.random.key(1), images)
  found = jax.jit(layer.apply)(variables, images)
  assert found.shape == (2, *token_grid((50, 37), stride), 8)
  expected = jax.lax.conv_general_dilated(
    images,
    variables["params"]["kernel"],
    (stride, stride),
    "VALID",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  np.testing.assert_allclose(found, expected, atol=1e-5)


@functools.cache
def small(**options):
  network = ViT(heads=2, width=4, depth=2, numerics=NUMERICS, **options)
  images = jax.random.normal(jax.random.key(0), (3, *SIZE, 3))
  variables = jax.jit(lambda: network.init(jax.random.key(1), images, train=False))()
  return network, variables, images


def test_chance_needs_training_and_skips_images_as_a_whole():
  network, variables, images = small(drop_path=0.9)

  @jax.jit
  def compute(key):
    tested = network.apply(variables, images, train=False)
    trained = network.apply(variables, images, train=True, rngs={"dropout": key})
    return tested, trained

  tested, trained = compute(jax.random.key(0))
  np.testing.assert_array_equal(compute(jax.random.key(1))[0], tested)
  assert not np.allclose(trained, tested)
  shape = (20, 5, 3)
  path = nn.Dropout(0.5, broadcast_dims=(1, 2))
  kept = path.apply({}, jnp.ones(shape), deterministic=False, rngs={"dropout": jax.random.key(0)})
  assert set(np.unique(kept)) == {0.0, 2.0}
  np.testing.assert_array_equal(kept, np.broadcast_to(kept[:, :1, :1], shape))


def test_attention_and_the_cut_before_the_last_block():
  network, variables, images = small()

  @jax.jit
  def compute(images):
    cut = network.apply(variables, images, method="before_last_block")
    whole = network.apply(variables, images, train=False)
    rest = network.apply(variables, cut, method="last_block")
    return cut, whole, rest, network.apply(variables, images, method="attention")

  cut, whole, rest, shares = compute(images)
  assert cut.shape == (3, 3, 2, 16) and shares.shape == (3, 3, 2)
  np.testing.assert_allclose(rest, whole, atol=1e-5)
  assert float(shares.min()) > 0 and float(shares.sum(axis=(1, 2)).max()) < 1


def test_images_of_another_size_are_refused_by_number():
  network, variables, _ = small()
  with pytest.raises(UserError, match=r"64 x 32 pixels have 8 patches, .* positions for 6"):
    network.apply(variables, jnp.zeros((1, 64, 32, 3)), train=False)


class TestPositions:
  def test_resize_equals_the_authors(self):
    reference = golden_models.load("pmt_position_resize")
    grid = int(reference["height"]), int(reference["width"])
    ours = positions.resize(reference["source"].astype(np.float64), grid)
    np.testing.assert_allclose(ours, reference["resized"], rtol=1e-9, atol=1e-12)

  def test_the_same_grid_is_unchanged(self):
    old = np.random.default_rng(0).normal(size=(1, 10, 4)).astype(np.float32)
    np.testing.assert_allclose(positions.resize(old, (3, 3)), old, rtol=1e-6)

  def test_the_position_of_a_distillation_token_is_dropped(self):
    old = np.random.default_rng(0).normal(size=(1, 11, 4)).astype(np.float32)
    new = positions.resize(old, (2, 5))
    np.testing.assert_array_equal(new, positions.resize(np.delete(old, 1, axis=1), (2, 5)))
    assert new.shape == (1, 11, 4)

  @pytest.mark.parametrize("shape", [(1, 8, 4), (10, 4), (1, 1, 4), (2, 10, 4)])
  def test_other_positions_are_refused(self, shape):
    with pytest.raises(UserError, match=r"not those of a class token and a square"):
      positions.resize(np.zeros(shape), (2, 2))


def drawn(table, size=(64, 64)):
  """Returns variables of a small network, drawn, and their tensors by the table's names."""
  shapes = {"params": {"backbone": shapes_of(ViT(2, 4, 2), size)["params"]}}
  generator = np.random.default_rng(0)
  variables = jax.tree.map(lambda x: generator.standard_normal(x.shape, np.float32), shapes)
  return shapes, variables, convert.export_weights(variables, convert.name_table(table))


# Surplus tensors of real files.
CLASSIFIERS = {
  "timm": ("head.weight", "head.bias", "pre_logits.fc.weight", "pre_logits.fc.bias"),
  "huggingface": ("classifier.weight", "vit.pooler.dense.weight", "vit.pooler.dense.bias"),
}
NAMES = {
  "timm": ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.1.attn.qkv.weight"),
  "huggingface": (
    "vit.embeddings.cls_token",
    "vit.embeddings.position_embeddings",
    "vit.embeddings.patch_embeddings.projection.weight",
    "vit.encoder.layer.1.attention.attention.value.weight",
  ),
}


@pytest.mark.parametrize("table, tensors", [("timm", 4 + 2 * 12 + 2), ("huggingface", 6 + 2 * 16)])
def test_a_file_of_either_names_comes_back_bit_equal(table, tensors, tmp_path):
  shapes, variables, weights = drawn(table)
  assert len(weights) == tensors and set(NAMES[table]) <= weights.keys()
  rest = {name: np.zeros((7, 8), np.float32) for name in CLASSIFIERS[table]}
  safetensors.save_file(weights | rest, tmp_path / "vit.safetensors")
  loaded = convert.load_weights(tmp_path / "vit.safetensors")
  found = convert.pretrained_table(loaded)
  assert found is convert.name_table(table)
  back, ignored = convert.import_weights(shapes, loaded, found)
  assert sorted(ignored) == sorted(CLASSIFIERS[table])
  jax.tree.map(np.testing.assert_array_equal, back, variables)
  for name, value in convert.export_weights(back, found).items():
    np.testing.assert_array_equal(value, weights[name], strict=True)


def test_both_names_say_the_same_network():
  shapes, _, theirs = drawn("huggingface")
  for prefix in ("", "deit."):
    renamed = {prefix + name.removeprefix("vit."): value for name, value in theirs.items()}
    back, _ = convert.import_weights(shapes, renamed, convert.pretrained_table(renamed))
    timm = convert.export_weights(back, convert.name_table("timm"))
    jax.tree.map(np.testing.assert_array_equal, timm, drawn("timm")[2])


@pytest.mark.parametrize("table", NAMES)
def test_positions_of_a_file_fit_another_image_size(table):
  _, _, weights = drawn(table, (64, 64))
  shapes, _, _ = drawn(table, (80, 48))
  resized = convert.resize_positions(weights, (5, 3))
  back, _ = convert.import_weights(shapes, resized, convert.name_table(table))
  assert back["params"]["backbone"]["pos_embed"].shape == (1, 16, 8)
  with pytest.raises(UserError, match=r"- pos_embed \(1, 16, 8\)"):
    convert.import_weights(shapes, weights, convert.name_table(table))


def test_a_query_without_its_key_is_listed():
  shapes, _, weights = drawn("huggingface")
  del weights["vit.encoder.layer.0.attention.attention.key.bias"]
  with pytest.raises(UserError) as error:
    convert.import_weights(shapes, weights, convert.name_table("huggingface"))
  assert "  + blocks.0.attn.query.bias (8,)" in str(error.value).split("\n")
  assert "  - blocks.0.attn.qkv.bias (24,)" in str(error.value).split("\n")
