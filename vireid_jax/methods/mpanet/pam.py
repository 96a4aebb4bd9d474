"""Pattern alignment module of MPANet."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.models.conv import Conv
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.numerics import Numerics


class PAM(nn.Module):
  """Pools a map under each of several learned masks, and globally.

  Attributes:
    parts: Number of masks.
    numerics: Dtype and convolution lowering; pooling is in float32 at least.

  Reference:
    Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification",
    CVPR 2021, section 3.3.
  """

  parts: int = 6
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array) -> tuple[Array, Array]:
    """Maps [n, h, w, c] to features [n, (parts + 1) c], the parts first, and masks [n, h, w, p]."""
    n, height, width, _ = x.shape
    masks = jax.nn.sigmoid(
      Conv(
        self.parts,
        1,
        use_bias=True,
        numerics=self.numerics,
        kernel_init=torch_uniform,
        name="masks",
      )(x)
    )
    full = self.numerics.param_dtype
    parts = jnp.einsum("nhwp,nhwc->npc", masks, x, preferred_element_type=full) / (height * width)
    whole = jnp.mean(x, axis=(1, 2), dtype=full)
    return jnp.concatenate([parts.reshape(n, -1), whole], axis=-1), masks
