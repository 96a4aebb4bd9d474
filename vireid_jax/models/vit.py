"""Vision Transformers with timm's parameters, for any image size and any stride of the patches."""

import math
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from vireid_jax.common.errors import UserError
from vireid_jax.common.options import OneOf
from vireid_jax.models.dense import Dense, product
from vireid_jax.models.numerics import Numerics

# Number of attention heads, each 64 channels wide. DeiT differs from ViT in its training only.
HEADS = {
  "vit_ti16": 3,
  "vit_s16": 6,
  "vit_b16": 12,
  "deit_ti16": 3,
  "deit_s16": 6,
  "deit_b16": 12,
}
DEPTH = 12
PATCH = 16
MLP_RATIO = 4
# Type of method options.
Backbone = Annotated[str, OneOf(HEADS)]

_init = nn.initializers.truncated_normal(0.02)


def token_grid(image_size: tuple[int, int], stride: int) -> tuple[int, int]:
  """Returns the number of patches down and across: floor((side - 16) / stride) + 1 of each."""
  height, width = image_size
  return (height - PATCH) // stride + 1, (width - PATCH) // stride + 1


class ViT(nn.Module):
  """Vision Transformer with a class token.

  Parameter names follow timm's: patch_embed, cls_token, pos_embed, blocks/block_0/{norm1,attn/{qkv,
  proj},norm2,mlp/{fc1,fc2}}, norm.

  Attributes:
    heads: Number of attention heads.
    width: Channels of a head; 64 is the full size. A token has heads * width channels.
    depth: Number of blocks.
    stride: Distance of the 16 x 16 patches, in pixels; 16 is without overlap.
    dropout: Share of numbers set to zero in training after the position embedding, the attention
      and both layers of each MLP, in [0, 1).
    drop_path: Share of training images that skip the residual branches of the last block, in
      [0, 1); it grows linearly from 0 in the first block.
    epsilon: Added to the variance in layer normalisation; timm's is 1e-6, PyTorch's default 1e-5.
    numerics: Dtype.

  Reference:
    Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at
    Scale", ICLR 2021; Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016.
  """

  heads: int = HEADS["vit_b16"]
  width: int = 64
  depth: int = DEPTH
  stride: int = PATCH
  dropout: float = 0.0
  drop_path: float = 0.0
  epsilon: float = 1e-6
  numerics: Numerics = Numerics()

  def setup(self):
    self.patch_embed = PatchEmbed(self.heads * self.width, self.stride, self.numerics)
    self.drop = nn.Dropout(self.dropout)
    rates = np.linspace(0, self.drop_path, self.depth)
    self.blocks = Blocks(
      self.heads, self.width, self.dropout, tuple(map(float, rates)), self.epsilon, self.numerics
    )
    self.norm = _layer_norm(self.epsilon, self.numerics)

  def __call__(self, images: Array, *, train: bool) -> Array:
    """Maps images [n, h, w, 3] to class tokens [n, c], in float32 at least."""
    x = self.blocks(self._tokens(images, train), train=train)
    return self._class_token(x)

  def before_last_block(self, images: Array) -> Array:
    """Maps images [n, h, w, 3] to the input of the last block, as a map.

    Returns:
      float [n, rows, columns, 2c]: the token of each patch, and the class token, repeated.
    """
    x = self.blocks(self._tokens(images, train=False), train=False, last=self.depth - 1)
    n, _, channels = x.shape
    rows, columns = token_grid(images.shape[1:3], self.stride)
    patches = x[:, 1:].reshape(n, rows, columns, channels)
    return jnp.concatenate([patches, jnp.broadcast_to(x[:, :1, None], patches.shape)], axis=-1)

  def last_block(self, features: Array) -> Array:
    """Maps what `before_last_block` returns to class tokens [n, c].

    No gradient flows through the repeated class token: Grad-CAM asks what the patches contribute.
    """
    x = self.blocks(_as_tokens(features), train=False, first=self.depth - 1)
    return self._class_token(x)

  def attention(self, images: Array) -> Array:
    """Maps images [n, h, w, 3] to the last block's attention of the class token to each patch.

    Returns:
      float [n, rows, columns]: the mean over heads of shares, whose sum is below 1.
    """
    features = self.before_last_block(images)
    shares = self.blocks.attention(_as_tokens(features))
    return shares[:, 0, 1:].reshape(features.shape[:3])

  @nn.compact
  def _tokens(self, images: Array, train: bool) -> Array:
    """Maps images to the class token and the patches' tokens with positions [n, 1 + p, c]."""
    patches = self.patch_embed(images)
    n, rows, columns, channels = patches.shape
    shape, dtype = (1, 1 + rows * columns, channels), self.numerics.param_dtype
    self._check_positions(images.shape[1:3], shape)
    class_token = self.param("cls_token", _init, (1, 1, channels), dtype)
    positions = self.param("pos_embed", _init, shape, dtype)
    class_tokens = jnp.broadcast_to(class_token, (n, 1, channels)).astype(patches.dtype)
    x = jnp.concatenate([class_tokens, patches.reshape(n, -1, channels)], axis=1)
    return self.drop(x + positions.astype(x.dtype), deterministic=not train)

  def _check_positions(self, image_size: tuple[int, int], shape: tuple[int, ...]) -> None:
    if not self.has_variable("params", "pos_embed"):
      return
    found = self.get_variable("params", "pos_embed").shape
    if found != shape:
      raise UserError(
        f"images of {image_size[0]} x {image_size[1]} pixels have {shape[1] - 1} patches, but the "
        f"network has positions for {found[1] - 1}; use the config.data.image_size and stride that "
        "it was trained with"
      )

  def _class_token(self, x: Array) -> Array:
    return self.norm(x[:, 0])


def _as_tokens(features: Array) -> Array:
  """Undoes the shape of `ViT.before_last_block`: [n, rows, columns, 2c] to [n, 1 + p, c]."""
  patches, class_token = jnp.split(features, 2, axis=-1)
  patches = patches.reshape(patches.shape[0], -1, patches.shape[-1])
  return jnp.concatenate([lax.stop_gradient(class_token[:, :1, 0]), patches], axis=1)


class PatchEmbed(nn.Module):
  """A 16 x 16 convolution without padding: [n, h, w, 3] to [n, rows, columns, features].

  One matrix product: the image is cut into square cells that divide patch and stride, and a patch
  is a few strided slices of the cells' map. Without overlap a patch is one cell.
  """

  features: int
  stride: int
  numerics: Numerics

  @nn.compact
  def __call__(self, images: Array) -> Array:
    dtype, full = self.numerics.compute_dtype, self.numerics.param_dtype
    shape = (PATCH, PATCH, images.shape[-1], self.features)
    kernel = self.param("kernel", _init, shape, full)
    bias = self.param("bias", nn.initializers.zeros, shape[-1:], full)
    cell = math.gcd(PATCH, self.stride)
    patches = _patches(images.astype(dtype), self.stride, cell)
    weights = _cells(kernel.transpose(3, 0, 1, 2), cell).reshape(self.features, -1).T
    return product(patches, weights) + bias.astype(dtype)


def _patches(images: Array, stride: int, cell: int) -> Array:
  """Returns the numbers of each patch, cell by cell: [n, rows, columns, 16 * 16 * c]."""
  count, step = PATCH // cell, stride // cell
  rows, columns = token_grid(images.shape[1:3], stride)
  down, across = (rows - 1) * step + count, (columns - 1) * step + count
  cells = _cells(images[:, : down * cell, : across * cell], cell)
  reach_y, reach_x = (rows - 1) * step + 1, (columns - 1) * step + 1
  slices = [
    cells[:, y : y + reach_y : step, x : x + reach_x : step]
    for y in range(count)
    for x in range(count)
  ]
  return jnp.concatenate(slices, axis=-1)


def _cells(images: Array, cell: int) -> Array:
  """Cuts images [n, h, w, c] into cells [n, h / cell, w / cell, cell * cell * c]."""
  n, height, width, channels = images.shape
  down, across = height // cell, width // cell
  split = images.reshape(n, down, cell, across, cell, channels).transpose(0, 1, 3, 2, 4, 5)
  return split.reshape(n, down, across, -1)


class Blocks(nn.Module):
  """The Transformer's blocks.

  Attributes:
    heads, width, dropout, epsilon, numerics: Those of `ViT`.
    rates: Share of images that skip the branches of each block, in training.
  """

  heads: int
  width: int
  dropout: float
  rates: tuple[float, ...]
  epsilon: float
  numerics: Numerics

  def setup(self):
    self.block = [
      Block(self.heads, self.width, self.dropout, rate, self.epsilon, self.numerics)
      for rate in self.rates
    ]

  def __call__(self, x: Array, *, train: bool, first: int = 0, last: int | None = None) -> Array:
    """Applies the blocks from `first` to `last` (exclusive) to tokens [n, t, c]."""
    for block in self.block[first:last]:
      x = block(x, train=train)
    return x

  def attention(self, x: Array) -> Array:
    """Returns the last block's attention for its input [n, t, c], [n, t, t], mean over heads."""
    return self.block[-1].shares(x)


class Block(nn.Module):
  """Attention and an MLP of four times the width, each normalised first, with a residual path.

  Attributes: Those of `ViT`; `rate` is the share of images that skip a branch in training.
  """

  heads: int
  width: int
  dropout: float
  rate: float
  epsilon: float
  numerics: Numerics

  def setup(self):
    self.norm1 = _layer_norm(self.epsilon, self.numerics)
    self.attn = Attention(self.heads, self.width, self.dropout, self.numerics)
    self.norm2 = _layer_norm(self.epsilon, self.numerics)
    self.mlp = Mlp(self.dropout, self.numerics)
    # One draw for each image.
    self.drop_path = nn.Dropout(self.rate, broadcast_dims=(1, 2))

  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps tokens [n, t, c] to [n, t, c]."""
    attended = self.attn(self.norm1(x), train=train)
    x = x + self.drop_path(attended, deterministic=not train)
    return x + self.drop_path(self.mlp(self.norm2(x), train=train), deterministic=not train)

  def shares(self, x: Array) -> Array:
    """Returns the attention weights for tokens [n, t, c], [n, t, t], mean over heads."""
    return self.attn.shares(self.norm1(x))


class Attention(nn.Module):
  """Self-attention: softmax(q k^T / sqrt(width)) v in each head.

  Written out: JAX's `dot_product_attention` was not faster where we measured it, and its scale is
  rounded to float32 in float64.
  """

  heads: int
  width: int
  dropout: float
  numerics: Numerics

  def setup(self):
    channels = self.heads * self.width
    self.qkv = Dense(3 * channels, self.numerics)
    self.proj = Dense(channels, self.numerics)
    self.drop = nn.Dropout(self.dropout)

  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps tokens [n, t, c] to [n, t, c]."""
    shares, value = self._attend(x)
    attended = jnp.einsum("nhqk,nkhc->nqhc", shares.astype(value.dtype), value).reshape(x.shape)
    return self.drop(self.proj(attended), deterministic=not train)

  def shares(self, x: Array) -> Array:
    """Returns the attention weights [n, t, t], in float32 at least, mean over heads."""
    return self._attend(x)[0].mean(axis=1)

  def _attend(self, x: Array) -> tuple[Array, Array]:
    """Returns weights [n, heads, t, t], in float32 at least, and values [n, t, heads, c]."""
    parts = self.qkv(x).reshape(*x.shape[:2], 3, self.heads, self.width)
    query, key, value = (parts[:, :, index] for index in range(3))
    scores = jnp.einsum("nqhc,nkhc->nhqk", query, key) / math.sqrt(self.width)
    return jax.nn.softmax(scores.astype(self.numerics.param_dtype), axis=-1), value


class Mlp(nn.Module):
  """Two layers around the exact GELU, each followed by dropout."""

  dropout: float
  numerics: Numerics

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    channels = x.shape[-1]
    drop = nn.Dropout(self.dropout, deterministic=not train)
    x = Dense(MLP_RATIO * channels, self.numerics, name="fc1")(x)
    x = drop(jax.nn.gelu(x, approximate=False))
    return drop(Dense(channels, self.numerics, name="fc2")(x))


def _layer_norm(epsilon: float, numerics: Numerics) -> nn.LayerNorm:
  """Layer normalisation over channels, in float32 at least; the layer behind it casts down."""
  full = numerics.param_dtype
  return nn.LayerNorm(epsilon, dtype=full, param_dtype=full, use_fast_variance=False)
