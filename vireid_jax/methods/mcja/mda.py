"""Modality distribution adapter of MCJA: gates of channels from a few contexts of a map."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.models.conv import Conv
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics


class MDA(nn.Module):
  """Adds to a map the map itself with its channels gated and normalised: y = x + BN(x g).

  M attention maps A_m = softmax over positions of a 1x1 convolution of x give M contexts,
  t_m = sum_p A_mp x_p, and these the gate g = sigmoid(BN(sum_m w_m t_m)), one per channel, with a
  weight w_m per channel. The output BN's scale starts at zero, so the block starts as the identity.

  Attributes:
    num_contexts: M; 2 in the published settings for SYSU-MM01, 12 for RegDB.
    numerics: Dtype, convolution lowering and batch-norm statistics.

  Reference:
    Liang et al., "Bridging the Gap: Multi-Level Cross-Modality Joint Alignment for
    Visible-Infrared Person Re-Identification", TCSVT 2024, and its published code.
  """

  num_contexts: int = 2
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] to [n, h, w, c]; sows 'attention' [n, h, w, M]."""
    n, height, width, channels = x.shape
    full = self.numerics.param_dtype
    scores = Conv(
      self.num_contexts,
      1,
      use_bias=True,
      numerics=self.numerics,
      kernel_init=torch_uniform,
      name="scores",
    )(x)
    positions = (n, height * width, -1)
    attention = jax.nn.softmax(scores.reshape(positions).astype(full), axis=1)
    self.sow("intermediates", "attention", attention.reshape(n, height, width, -1))
    contexts = jnp.einsum("npm,npc->nmc", attention, x.reshape(positions).astype(full))
    # A depthwise convolution over the contexts, as wide as there are.
    kernel = self.param("kernel", torch_uniform, (self.num_contexts, 1, channels), full)
    summed = jnp.sum(contexts * kernel[:, 0], axis=1)
    gate = jax.nn.sigmoid(BatchNorm(self.numerics, name="gate_norm")(summed, train=train))
    norm = BatchNorm(self.numerics, scale_init=nn.initializers.zeros, name="norm")
    return x + norm(x * gate[:, None, None], train=train)
