"""TMPA's modality feature transfer: estimates the other modality's features from one image."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from vireid_jax.common.errors import UserError, choose
from vireid_jax.models.conv import Conv, shifted_slices
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

PATHS = ("both", "attention", "convolution")
ATTENTION = "attention"  # name of the sown attention map
SIZE = 3
SHIFTS = SIZE * SIZE


class MFT(nn.Module):
  """Cross attention and convolution over the same projections, in one direction.

  q = Wq F_shared; k, v = Wk F_specific, Wv F_specific: each position of the shared map attends to
  all positions of the same image's specific map. out = relu(BN(Wo(r1 attention + r2 convolution))).

  Attributes:
    reduction: Factor by which the projections reduce the channels.
    heads: Number of attention heads; must divide the reduced channels.
    path: 'both', 'attention' or 'convolution'. A single path has no r1 and r2, since the batch norm
      would undo a scale.
    numerics: Dtype, convolution lowering and batch-norm statistics; the softmax is computed in
      float32 at least.

  Reference:
    TMPA (arXiv 2312.07021): lightweight, integrates cross attention and convolution with minimal
    overhead. Sharing the projections follows Pan et al., "On the Integration of Self-Attention and
    Convolution", CVPR 2022. The direction of attention, the widths and the ReLU (the true maps are
    non-negative too) are our choice.
  """

  reduction: int = 8
  heads: int = 4
  path: str = "both"
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, shared: Array, specific: Array, *, train: bool) -> Array:
    """Maps an image's shared and specific maps to the other modality's specific map.

    Args:
      shared, specific: float [n, h, w, c].
      train: Normalise by batch statistics.

    Returns:
      float [n, h, w, c], non-negative.
    """
    choose(self.path, PATHS, said=f"MFT: unknown path {self.path!r}")
    channels = shared.shape[-1]
    width = transfer_width(channels, self.reduction, self.heads)
    query, key, value = (
      self._project(x, width, name)
      for x, name in ((shared, "query"), (specific, "key"), (specific, "value"))
    )
    mixed = self._mix(query, key, value)
    y = Conv(channels, 1, numerics=self.numerics, kernel_init=torch_uniform, name="out")(mixed)
    return jax.nn.relu(BatchNorm(self.numerics, name="norm")(y, train=train))

  def _mix(self, query: Array, key: Array, value: Array) -> Array:
    if self.path != "convolution" and self.is_mutable_collection("intermediates"):
      # For visualisation; computed only on request.
      self.sow("intermediates", ATTENTION, attention_received(query, key, heads=self.heads))
    if self.path == "attention":
      return attend(query, key, value, heads=self.heads)
    # Its parameters exist only if it is called.
    convolve = ProjectionConv(self.heads, self.numerics, name="convolution")
    if self.path == "convolution":
      return convolve(query, key, value)
    half = nn.initializers.constant(0.5)
    r1, r2 = (
      self.param(name, half, (), self.numerics.param_dtype).astype(query.dtype)
      for name in ("attention_scale", "convolution_scale")
    )
    return r1 * attend(query, key, value, heads=self.heads) + r2 * convolve(query, key, value)

  def _project(self, x: Array, width: int, name: str) -> Array:
    return Conv(width, 1, numerics=self.numerics, kernel_init=torch_uniform, name=name)(x)


def transfer_width(channels: int, reduction: int, heads: int) -> int:
  """Returns the width of the projections.

  Args:
    channels: Number of channels of the maps.
    reduction, heads: Options of `MFT`.

  Raises:
    UserError: The width is 0, or not a multiple of the number of heads.
  """
  width = channels // reduction
  if not width or width % heads:
    raise UserError(
      f"MFT: {channels} channels / reduction {reduction} = {width}, not a multiple of "
      f"{heads} heads; change method.reduction or method.heads"
    )
  return width


def attend(query: Array, key: Array, value: Array, *, heads: int) -> Array:
  """Multi-head attention over the positions of each image.

  Args:
    query, key, value: float [n, h, w, heads * d]; channel i * d + j is the j-th of head i.
    heads: Number of heads.

  Returns:
    float [n, h, w, heads * d], softmax(q k^T / sqrt(d)) v of each head.

  Reference:
    Vaswani et al., "Attention Is All You Need", 2017, section 3.2.
  """
  v = _by_head(value, heads)
  weight = _weights(query, key, heads).astype(v.dtype)
  return jnp.einsum("nipq,nqid->npid", weight, v).reshape(query.shape)


def attention_received(query: Array, key: Array, *, heads: int) -> Array:
  """Returns the attention that each position receives: [n, h, w], with sum 1 over h and w.

  It is the mean over heads and query positions; the arguments are those of `attend`.
  """
  n, height, width, _ = query.shape
  return _weights(query, key, heads).mean(axis=(1, 2)).reshape(n, height, width)


def _weights(query: Array, key: Array, heads: int) -> Array:
  """Returns softmax(q k^T / sqrt(d)), [n, heads, query positions, key positions]."""
  q, k = _by_head(query, heads), _by_head(key, heads)
  full = jnp.promote_types(q.dtype, jnp.float32)
  score = jnp.einsum("npid,nqid->nipq", q, k, preferred_element_type=full)
  return jax.nn.softmax(score / q.shape[-1] ** 0.5, axis=-1)


def _by_head(x: Array, heads: int) -> Array:
  n, height, width, channels = x.shape
  return x.reshape(n, height * width, heads, channels // heads)


class ProjectionConv(nn.Module):
  """A 3x3 convolution computed from the attention's three projections.

  The channels of q, k and v form d groups; channel j of each head is in group j. A 1x1 mix, shared
  by all groups, turns a group's 3 * heads channels into 9 maps, and a 3x3 grouped convolution turns
  these into `heads` channels. It is initialised to the sum of the maps, each shifted by another of
  the 9 positions of a 3x3 kernel: initially this *is* a 3x3 convolution whose kernel is the mix.

  Attributes:
    heads: Number of heads that the projections' channels are divided into.
    numerics: Dtype and convolution lowering.

  Reference:
    Pan et al., "On the Integration of Self-Attention and Convolution", CVPR 2022, section 3.
  """

  heads: int
  numerics: Numerics

  @nn.compact
  def __call__(self, query: Array, key: Array, value: Array) -> Array:
    """Maps three projections [n, h, w, heads * d] to one [n, h, w, heads * d]."""
    n, height, width, channels = query.shape
    groups, dtype = channels // self.heads, self.numerics.param_dtype
    shape = (n, height, width, 3 * self.heads, groups)
    stacked = jnp.stack([query, key, value], axis=3).reshape(shape)
    mix = self.param("mix", torch_uniform, (3 * self.heads, SHIFTS), dtype)
    maps = jnp.einsum("nhwig,is->nhwgs", stacked, mix.astype(stacked.dtype))
    kernel = self.param("kernel", _shifts, (SIZE, SIZE, SHIFTS, groups * self.heads), dtype)
    convolve = _grouped_by_dot if self.numerics.slice_windows else _grouped_by_xla
    out = convolve(maps, kernel.astype(maps.dtype))
    return jnp.swapaxes(out, 3, 4).reshape(n, height, width, channels)


def _shifts(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
  """Kernel [3, 3, 9, c] that sums 9 maps, map 3 i + j at row i and column j of the window."""
  del key
  one = jnp.eye(SHIFTS, dtype=dtype).reshape(SIZE, SIZE, SHIFTS, 1)
  return jnp.broadcast_to(one, shape)


def _grouped_by_xla(maps: Array, kernel: Array) -> Array:
  """[n, h, w, groups, 9] by [3, 3, 9, groups * k] to [n, h, w, groups, k]."""
  n, height, width, groups, _ = maps.shape
  out = lax.conv_general_dilated(
    maps.reshape(n, height, width, groups * SHIFTS),
    kernel,
    window_strides=(1, 1),
    padding=((1, 1), (1, 1)),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=groups,
  )
  return out.reshape(n, height, width, groups, -1)


def _grouped_by_dot(maps: Array, kernel: Array) -> Array:
  """Like `_grouped_by_xla`, as shifted slices and one product per group."""
  n, height, width, groups, _ = maps.shape
  windows = shifted_slices(maps.reshape(n, height, width, -1), size=SIZE, stride=1, fill=0)
  windows = jnp.stack([x.reshape(maps.shape) for x in windows], axis=4)
  kernel = kernel.reshape(SHIFTS, SHIFTS, groups, -1)
  return jnp.einsum("nhwgts,tsgk->nhwgk", windows, kernel)
