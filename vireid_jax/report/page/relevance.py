"""Where a network looks: maps over an image, for any method.

`attention`, `forward_features` and `forward_head` are optional members of `methods.base.Method`. If
a method has none of them, the gradient at the pixels is shown.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vireid_jax.common.types import Variables
from vireid_jax.losses.distance import unit
from vireid_jax.methods.base import Method

Maps = dict[str, np.ndarray]  # name -> float32 [n, h, w], not negative, at any resolution
GRAD_CAM = "Grad-CAM"
ENERGY = "last stage energy"
SALIENCY = "pixel gradient"


def maps(
  method: Method, variables: Variables, images: Array, modality: str, targets: np.ndarray
) -> Maps:
  """Computes all maps that a method supports.

  Args:
    method: Method of the network.
    variables: Variables of the network.
    images: float [n, h, w, 3], normalised.
    modality: Modality of all images.
    targets: float [n, d], a feature for each image; Grad-CAM explains the similarity to it.

  Returns:
    Grad-CAM (or, without `forward_features`, the gradient at the pixels), the method's own maps,
    and the energy of the last stage.
  """

  def compute(variables: Variables, images: Array, targets: Array) -> dict[str, Array]:
    found = {}
    cut = hasattr(method, "forward_features") and hasattr(method, "forward_head")
    if cut:
      last = method.forward_features(variables, images, modality)
      found[GRAD_CAM] = grad_cam(
        lambda x: method.forward_head(variables, x, modality), last, targets
      )
    else:
      found[SALIENCY] = saliency(lambda x: method.embed(variables, x, modality), images, targets)
    if hasattr(method, "attention"):
      found |= method.attention(variables, images, modality)
    return found | ({ENERGY: energy(last)} if cut else {})

  found = jax.jit(compute)(variables, images, jnp.asarray(targets))
  return {name: np.asarray(value, np.float32) for name, value in found.items()}


def grad_cam(embed, features: Array, targets: Array) -> Array:
  """Weights the channels of the last map by their influence on a similarity.

  With s the cosine of the image's feature and its target, and a_c the mean over positions of
  ds/dA_c: relu(sum_c a_c A_c).

  Args:
    embed: Function from [n, h, w, c] to features [n, d], independent for each row.
    features: float [n, h, w, c], the last map.
    targets: float [n, d].

  Returns:
    float32 [n, h, w], at least 0.

  Reference:
    Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2; the similarity in place of a class
    score is our choice, since retrieval has no classes.
  """
  features = features.astype(jnp.float32)
  gradient = jax.grad(lambda x: _similarity(embed(x), targets))(features)
  weights = gradient.mean(axis=(1, 2), keepdims=True)
  return jax.nn.relu((weights * features).sum(axis=-1))


def saliency(embed, images: Array, targets: Array) -> Array:
  """Returns the maximum over channels of the similarity's absolute gradient, float [n, h, w].

  Reference:
    Simonyan et al., "Deep Inside Convolutional Networks", 2013, section 3.
  """
  gradient = jax.grad(lambda x: _similarity(embed(x), targets))(images)
  return jnp.abs(gradient).max(axis=-1)


def energy(features: Array) -> Array:
  """Returns the root mean square over channels, float32 [n, h, w]."""
  return jnp.sqrt(jnp.mean(jnp.square(features.astype(jnp.float32)), axis=-1))


def _similarity(features: Array, targets: Array) -> Array:
  # Rows are independent at test time, so the gradient of the sum has each row's own gradient.
  return jnp.sum(unit(features) * unit(targets))
