"""Pixel-level auxiliary modalities of earlier work, as baselines for a learned one."""

import jax.numpy as jnp
from jax import Array

from vireid_jax.data.training.operations import IMAGENET_MEAN, IMAGENET_STD, LUMA


def gray(visible: Array, infrared: Array) -> Array:
  """Turns normalised visible images [b, h, w, 3] grey; X and HAT modalities begin like this."""
  del infrared
  mean, std = jnp.asarray(IMAGENET_MEAN, visible.dtype), jnp.asarray(IMAGENET_STD, visible.dtype)
  luminance = jnp.sum((visible * std + mean) * jnp.asarray(LUMA, visible.dtype), -1, keepdims=True)
  return (luminance - mean) / std


def pixel_mix(visible: Array, infrared: Array) -> Array:
  """Averages paired normalised images [b, h, w, 3]."""
  return (visible + infrared) / 2


IMAGE_MODALITIES = {"gray": gray, "pixel_mix": pixel_mix}
