"""Multi-stage feature aggregation of DEEN: channel and position affinities between two stages."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.errors import UserError
from vireid_jax.models.conv import Conv
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

RESHAPES = ("published", "clean")


class MFA(nn.Module):
  """Adds what a stage's input says to its output: z = PNL(CNL(high, low), low).

  Attributes:
    stride: Factor by which the stage reduces the resolution.
    pnl_reshape: See `PNL`.
    numerics: Dtype and convolution lowering.

  Reference:
    Zhang and Wang, "Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for
    Visible-Infrared Person Re-identification", CVPR 2023, section 3.2.
  """

  stride: int = 1
  pnl_reshape: str = "published"
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, high: Array, low: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] and [n, stride h, stride w, l] to [n, h, w, c]."""
    z = CNL(self.stride, self.numerics, name="cnl")(high, low, train=train)
    return PNL(self.pnl_reshape, self.numerics, name="pnl")(z, low, train=train)


class CNL(nn.Module):
  """Adds the low map with its channels mixed by their affinity to the high map's.

  z = high + BN(W y) with y = (theta(high)^T phi(low) / l) g(low), where theta, phi and g have the l
  channels of the low map, and phi and W the stride. The block starts as the identity.
  """

  stride: int = 1
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, high: Array, low: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] and [n, stride h, stride w, l] to [n, h, w, c]."""
    width = low.shape[-1]
    theta = _positions(_project(self, high, width, "theta"))
    phi = _positions(_project(self, low, width, "phi", self.stride))
    g = _positions(_project(self, low, width, "g"))
    affinity = jnp.einsum("npc,npd->ncd", theta, phi) / width
    y = jnp.einsum("ncd,nqd->nqc", affinity, g).reshape(low.shape)
    return high + _output(self, y, high.shape[-1], self.stride, train)


class PNL(nn.Module):
  """Adds to every position of the high map a weighted sum over the positions of the low one.

  z = high + BN(W y) with y = (theta(high) phi(low)^T / n) g(low), where theta, phi and g have half
  the l channels of the low map and n is its number of positions. The block starts as the identity.

  The published code views its maps as l channels at half the positions: both halves of the map,
  upper and lower, share one affinity, and n is halved.

  Attributes:
    reshape: 'published', which needs maps of an even number of positions, or 'clean'.
    numerics: Dtype and convolution lowering.
  """

  reshape: str = "published"
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, high: Array, low: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] and [n, h', w', l] to [n, h, w, c]."""
    inner = low.shape[-1] // 2
    maps = {"theta": high, "phi": low, "g": low}
    projected = {name: _positions(_project(self, x, inner, name)) for name, x in maps.items()}
    if self.reshape == "published":
      projected = {name: _halves_to_channels(x) for name, x in projected.items()}
    # The affinity of all positions is not formed where the other order of products is shorter.
    y = jnp.einsum("npc,nqc,nqd->npd", *projected.values()) / projected["phi"].shape[1]
    y = _channels_to_halves(y) if self.reshape == "published" else y
    y = y.reshape(*high.shape[:-1], inner)
    return high + _output(self, y, high.shape[-1], 1, train)


def _project(block: nn.Module, x: Array, features: int, name: str, stride: int = 1) -> Array:
  return Conv(
    features,
    1,
    stride,
    use_bias=True,
    numerics=block.numerics,
    kernel_init=torch_uniform,
    name=name,
  )(x)


def _output(block: nn.Module, y: Array, features: int, stride: int, train: bool) -> Array:
  y = _project(block, y, features, "out", stride)
  return BatchNorm(block.numerics, scale_init=nn.initializers.zeros, name="norm")(y, train=train)


def _positions(x: Array) -> Array:
  """[n, h, w, c] to [n, h w, c]."""
  return x.reshape(x.shape[0], -1, x.shape[-1])


def _halves_to_channels(x: Array) -> Array:
  """[n, p, c] to [n, p / 2, 2 c]: channel k of the first half to 2k, of the second to 2k + 1."""
  n, positions, channels = x.shape
  if positions % 2:
    raise UserError(
      f"method deen: pnl_reshape = 'published' cuts maps into halves, and one has {positions} "
      "positions; set method.pnl_reshape='clean', or choose another data.image_size"
    )
  halves = x.reshape(n, 2, positions // 2, channels)
  return halves.transpose(0, 2, 3, 1).reshape(n, positions // 2, 2 * channels)


def _channels_to_halves(x: Array) -> Array:
  """Undoes `_halves_to_channels`."""
  n, positions, channels = x.shape
  halves = x.reshape(n, positions, channels // 2, 2).transpose(0, 3, 1, 2)
  return halves.reshape(n, 2 * positions, channels // 2)
