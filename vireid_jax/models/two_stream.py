"""Two-stream ResNet: modality-specific stages, then shared ones."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import STAGES, ResNet
from vireid_jax.runtime.mesh import on_all_devices


def merge(*streams: Array) -> Array:
  """Interleaves k batches: [b, ...] each to [k b, ...] in the order v0, r0, v1, r1, ...

  Stacks on axis 1 and reshapes, so that rows stay on their device; concatenating sharded batches
  would move most of the data between devices.
  """
  stacked = jnp.stack(streams, axis=1)
  return stacked.reshape(len(streams) * streams[0].shape[0], *streams[0].shape[1:])


def merge_labels(label: Array, count: int = 2) -> Array:
  """Returns the labels [count b] of `count` merged batches with the labels [b].

  They stay on all devices: a mask of equal labels is split by rows, for which the compiler would
  gather them again.
  """
  return on_all_devices(jnp.repeat(label, count))


def split(merged: Array, count: int = 2) -> tuple[Array, ...]:
  """Undoes `merge`: [count b, ...] to `count` batches [b, ...]."""
  groups = merged.reshape(merged.shape[0] // count, count, *merged.shape[1:])
  return tuple(groups[:, index] for index in range(count))


class TwoStreamResNet(nn.Module):
  """A ResNet whose first stages exist once per modality.

  Attributes:
    depth: 18, 34 or 50.
    width: Channels of the stem; 64 is the full size.
    num_specific_stages: Number of modality-specific stages, the stem counted: 0 none, 1 the stem,
      2 the stem and stage 1, ..., 5 all.
    non_local: Number of non-local blocks at the end of each of stages 1-4.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  depth: int = 50
  width: int = 64
  num_specific_stages: int = 1
  non_local: tuple[int, int, int, int] = (0, 0, 0, 0)
  numerics: Numerics = Numerics()

  def setup(self):
    if not 0 <= self.num_specific_stages <= len(STAGES):
      raise UserError(
        f"num_specific_stages is {self.num_specific_stages}; allowed: 0 (all shared) to "
        f"{len(STAGES)} (nothing shared)"
      )
    self.visible = self._stages(0, self.num_specific_stages)
    self.infrared = self._stages(0, self.num_specific_stages)
    self.shared = self._stages(self.num_specific_stages, len(STAGES))

  def __call__(self, visible: Array, infrared: Array, *, train: bool) -> Array:
    """Maps two batches to the merged map.

    Args:
      visible: float [k b, h, w, 3]: k views of each image, merged (see `merge`).
      infrared: float [b, h, w, 3].
      train: whether statistics are those of the batch.

    Returns:
      float [(k + 1) b, h/16, w/16, c]: views in their order and infrared maps, merged.
    """
    views = split(self.visible(visible, train=train), visible.shape[0] // infrared.shape[0])
    merged = merge(*views, self.infrared(infrared, train=train))
    return self.shared(merged, train=train)

  def single(self, images: Array, modality: str, *, train: bool = False) -> Array:
    """Maps images [n, h, w, 3] of one modality through its own stream to [n, h/16, w/16, c]."""
    stream = self.visible if modality == MODALITIES[0] else self.infrared
    return self.shared(stream(images, train=train), train=train)

  def _stages(self, first: int, last: int) -> ResNet:
    return ResNet(self.depth, self.width, first, last, self.non_local, self.numerics)
