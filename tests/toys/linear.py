"""A method that compiles in no time: a projection per modality and a centred neck."""

import dataclasses

import jax
import jax.numpy as jnp

from vireid_jax import losses
from vireid_jax.methods.base import LossOutput
from vireid_jax.models.numerics import Numerics


@dataclasses.dataclass(frozen=True)
class Linear:
  """Keeps the contract of `methods.base.Method`."""

  num_classes: int
  steps_per_epoch: int
  feature: str = "after_neck"
  width: int = 8
  numerics: Numerics = Numerics()

  def init(self, rng, batch):
    """Draws the projections."""
    keys = jax.random.split(rng)
    size = batch["visible"][0].size
    params = {
      side: jax.random.normal(key, (size, self.width)) / size**0.5
      for side, key in zip(("visible", "infrared"), keys, strict=True)
    }
    return {"params": params, "batch_stats": {"mean": jnp.zeros(self.width)}}

  def loss(self, variables, batch, *, rngs, step):
    """Batch-hard triplet over both modalities."""
    del rngs, step
    sides = [_project(variables, batch[side], side) for side in ("visible", "infrared")]
    features = jnp.concatenate(sides)
    labels = jnp.concatenate([batch["label"]] * 2)
    mean = 0.9 * variables["batch_stats"]["mean"] + 0.1 * features.mean(axis=0)
    triplet = losses.batch_hard_triplet(features, labels, margin=0.3)
    return LossOutput({"triplet": triplet}, {}, {"batch_stats": {"mean": mean}})

  def embed(self, variables, images, modality):
    """The projection, centred after the neck."""
    before = _project(variables, images, modality)
    return before - variables["batch_stats"]["mean"] if self.feature == "after_neck" else before


def _project(variables, images, modality):
  return images.reshape(images.shape[0], -1) @ variables["params"][modality]
