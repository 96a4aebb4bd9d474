"""The augmentation of a batch: a config's operations on views of images, pairs and masks."""

import ast
import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common import options
from vireid_jax.common.errors import UserError, choose, nearest, shown
from vireid_jax.common.records import MODALITIES, SECOND_VIEW, VISIBLE, mask_name
from vireid_jax.common.types import Batch
from vireid_jax.data.training.operations import (
  ON_BYTES,
  OPERATIONS,
  normalize,
  pad_crop,
  to_float,
)

Operation = Callable[[Array, Array], Array]
Augment = Callable[[Array, Batch], Batch]


def parse_operation(text: str) -> Operation:
  """Turns 'name' or 'name(key=value, ...)' into a function of (key, image).

  Raises:
    UserError: for an unknown operation or argument, or a value that is not allowed.
  """
  try:
    node = ast.parse(text, mode="eval").body
    call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
    name = call.func.id
    arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
  except (SyntaxError, ValueError, TypeError, AttributeError, RecursionError, MemoryError):
    raise UserError(f"augmentation {shown(text)} is not of the form name(key=value, ...)") from None
  operation = choose(name, OPERATIONS, "augmentation")
  allowed = options.declared(operation)
  for key in arguments:
    choose(key, allowed, said=f"augmentation {name!r} has no argument {key!r}")
  arguments = options.arguments(operation, arguments, f"augmentation {name!r}: ")
  if call.args:
    raise UserError(f"augmentation {shown(text)}: name the arguments; {nearest('', allowed)}")
  return functools.partial(operation, **arguments)


def make_pipeline(operations: Sequence[str]) -> Callable[[Array, Array], Array]:
  """Builds a function of a key and a uint8 batch that applies operations in order.

  Args:
    operations: see `parse_operation`.

  Returns:
    A pure function (key, uint8 [b, h, w, 3]) -> float32 [b, h, w, 3]; each image has keys of its
    own.
  """
  parsed = [parse_operation(text) for text in operations]

  def augment_one(key: Array, image: Array) -> Array:
    for index, operation in enumerate(parsed):
      if operation.func not in ON_BYTES:
        image = to_float(image)
      image = operation(jax.random.fold_in(key, index), image)
    return to_float(image)

  def augment(key: Array, images: Array) -> Array:
    return jax.vmap(augment_one)(jax.random.split(key, images.shape[0]), images)

  return augment


def make_normalizer(operations: Sequence[str]) -> Callable[[Array], Array]:
  """Builds what a test image goes through: of the operations of training, `normalize` alone.

  Args:
    operations: see `parse_operation`.

  Returns:
    A pure function uint8 [n, h, w, 3], or float in [0, 1], -> float32 [n, h, w, 3]; n may be
    symbolic.
  """
  parsed = [parse_operation(text) for text in operations]
  parsed = [operation for operation in parsed if operation.func is normalize]

  def normalize_all(images: Array) -> Array:
    images = to_float(images)
    for operation in parsed:
      images = operation(None, images)  # it draws nothing, so that it needs no key
    return images

  return normalize_all


def make_pair_pipeline(
  operations: Sequence[str],
) -> Callable[[Array, dict[str, Array]], dict[str, Array]]:
  """Builds a function of a key and a batch that moves both images of a pair alike.

  Args:
    operations: see `parse_operation`; of those that move pixels only.

  Returns:
    A pure function of a key and a batch whose images, and masks where it has them, are uint8
    [b, h, w, c]. The i-th visible image, the i-th infrared one and their masks see the same draws;
    what a mask is padded with is no pedestrian.

  Raises:
    UserError: for an operation that changes what a pixel says.
  """
  parsed = [parse_operation(text) for text in operations]
  for text, operation in zip(operations, parsed, strict=True):
    if operation.func not in ON_BYTES:
      allowed = ", ".join(each.__name__ for each in ON_BYTES)
      raise UserError(
        f"config.augment.pair: {text!r} does not only move pixels; allowed: {allowed}"
      )

  def move(key: Array, image: Array) -> Array:
    for index, operation in enumerate(parsed):
      image = operation(jax.random.fold_in(key, index), image)
    return image

  def move_mask(key: Array, mask: Array) -> Array:
    for index, operation in enumerate(parsed):
      unpadded = {"fill": 0} if operation.func is pad_crop else {}
      moved = operation(jax.random.fold_in(key, index), jnp.repeat(mask, 3, axis=-1), **unpadded)
      mask = moved[..., :1]
    return mask

  def augment(key: Array, batch: dict[str, Array]) -> dict[str, Array]:
    keys = jax.random.split(key, batch["label"].shape[0])
    moved = {name: jax.vmap(move)(keys, batch[name]) for name in MODALITIES}
    masks = [name for name in map(mask_name, MODALITIES) if name in batch]
    return batch | moved | {name: jax.vmap(move_mask)(keys, batch[name]) for name in masks}

  return augment


def make_augment_pair(operations: Sequence[str]) -> Augment | None:
  """Builds the operations that both images of a pair share; None where there are none."""
  return make_pair_pipeline(operations) if operations else None


def make_augment(operations: Mapping[str, Sequence[str]]) -> Augment:
  """Builds the augmentation of a batch from the operations of each modality.

  Args:
    operations: of 'visible' and 'infrared', and of 'visible_2' where the batch shall have a second
      view of the visible images, drawn independently of the first.

  Returns:
    The augmentation. It leaves masks out: they do not follow an image that is cropped. Where a
    batch has 'modality', each image is augmented as its own modality says, and 'visible_2' is not.
  """
  pipelines = {name: make_pipeline(operations[name]) for name in MODALITIES}
  second_view = operations.get(SECOND_VIEW, ())
  second_pipeline = make_pipeline(second_view) if second_view else None

  def apply(key: jax.Array, batch: Batch) -> Batch:
    keys = jax.random.split(key, len(MODALITIES))
    if "modality" in batch:
      by_row = [_by_modality(pipelines, keys[i], batch, i) for i in range(len(MODALITIES))]
      return {**dict(zip(MODALITIES, by_row, strict=True)), **_facts(batch)}
    images = {
      name: pipelines[name](keys[index], batch[name]) for index, name in enumerate(MODALITIES)
    }
    if second_pipeline:
      own_key = jax.random.fold_in(key, len(MODALITIES))
      images[SECOND_VIEW] = second_pipeline(own_key, batch[MODALITIES[0]])
    return {**images, **_facts(batch)}

  return apply


def _by_modality(pipelines: Mapping[str, Augment], key: Array, batch: Batch, place: int) -> Array:
  """Augments the images of one array by the operations of each image's own modality."""
  visible, infrared = (pipelines[name](key, batch[MODALITIES[place]]) for name in MODALITIES)
  is_visible = batch["modality"][:, place] == VISIBLE
  return jnp.where(is_visible[:, None, None, None], visible, infrared)


def _facts(batch: Batch) -> Batch:
  return {name: batch[name] for name in ("label", "modality") if name in batch}
