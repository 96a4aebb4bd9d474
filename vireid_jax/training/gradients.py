"""Loss and gradients of a batch, at once or in blocks, with or without recomputing activations.

Rematerialisation computes the same numbers with less memory and more time. Accumulation changes the
numbers: anything computed across images (batch statistics, hardest positives and negatives,
centres, prototypes) then sees one block of P / n identities at a time.
"""

import contextlib
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.errors import UserError, choose
from vireid_jax.common.types import Batch, Variables
from vireid_jax.methods.base import LossOutput, Method
from vireid_jax.models.non_local import NonLocal
from vireid_jax.models.resnet import BasicBlock, Bottleneck, Stem
from vireid_jax.models.vit import Block

RECOMPUTED = (Stem, BasicBlock, Bottleneck, NonLocal, Block)

# What the forward pass keeps for the backward pass: everything; the results of convolutions and
# matrix products, so that norms and activations are recomputed; or the inputs of the stem and of
# residual, non-local and Transformer blocks, so that whole blocks are recomputed.
NONE, PRODUCTS, BLOCKS = REMAT = ("none", "products", "blocks")

# (variables, batch, key, step) -> (output, gradients of its loss)
Gradient = Callable[[Variables, Batch, Array, Array], tuple[LossOutput, Variables]]


def make(
  method: Method, *, remat: str = NONE, accumulate: int = 1, images: int = 1, unroll: bool = False
) -> Gradient:
  """Builds the function that differentiates a method's loss with respect to its parameters.

  Args:
    method: Method whose loss is differentiated.
    remat: One of `REMAT`.
    accumulate: Number of blocks that a batch is cut into; 1 leaves it whole.
    images: Number of consecutive rows of a batch that show one identity.
    unroll: Unroll the loop over blocks, since the compiler's cost analysis counts only one
      iteration of a loop; the numbers are the same.

  Returns:
    A function (variables, batch, key, step) -> (loss output, gradients). With several blocks,
    terms, metrics and gradients are means over blocks; collections are updated block by block.
  """
  whole = _of_one_block(method, remat)
  return whole if accumulate == 1 else _of_blocks(whole, accumulate, images, unroll)


def check(remat: str, accumulate: int, identities: int) -> None:
  """Raises UserError for an unknown `remat`, or a number of blocks that does not fit."""
  choose(remat, REMAT, said=f"config.train.remat = {remat!r}")
  if accumulate < 1 or identities % accumulate or (accumulate > 1 and identities // accumulate < 2):
    raise UserError(
      f"config.train.accumulate = {accumulate} does not cut sampler.num_identities = {identities} "
      "into equal blocks of at least two identities; choose a divisor of it, or 1 for no blocks"
    )


def split(batch: Batch, blocks: int, images: int) -> Batch:
  """Deals the identities of a batch to blocks, like cards.

  If the number of devices divides the identities of a block, dealing gives every block an equal
  share of each device's rows, so that no rows move between devices.

  Args:
    batch: Arrays [b, ...], in which the `images` rows of an identity are consecutive.
    blocks: Number of blocks; divides b / images.
    images: Number of rows per identity.

  Returns:
    Arrays [blocks, b / blocks, ...].
  """

  def deal(rows: Array) -> Array:
    hands = rows.reshape(-1, blocks, images, *rows.shape[1:])
    return jnp.moveaxis(hands, 1, 0).reshape(blocks, -1, *rows.shape[1:])

  return jax.tree.map(deal, batch)


def make_loss(method: Method, remat: str = NONE) -> Callable:
  """Returns (params, other collections, batch, key, step) -> (loss, output), to differentiate."""

  def compute(params, others: Variables, batch: Batch, key: Array, step: Array):
    with _recomputed_blocks() if remat == BLOCKS else contextlib.nullcontext():
      output = method.loss({"params": params, **others}, batch, rngs=key, step=step)
    return output.loss, output

  if remat == PRODUCTS:
    compute = jax.checkpoint(compute, policy=jax.checkpoint_policies.dots_saveable)
  return compute


def _of_one_block(method: Method, remat: str) -> Gradient:
  differentiated = jax.value_and_grad(make_loss(method, remat), has_aux=True)

  def gradient(variables: Variables, batch: Batch, key: Array, step: Array):
    others = {name: value for name, value in variables.items() if name != "params"}
    (_, output), gradients = differentiated(variables["params"], others, batch, key, step)
    return output, gradients

  return gradient


def _recomputed_blocks():
  """Returns a context in which traced blocks are rematerialised."""
  inside = False

  def intercept(call: Callable, arguments, options, context: nn.module.InterceptorContext):
    nonlocal inside
    is_block = isinstance(context.module, RECOMPUTED) and context.method_name == "__call__"
    if inside or not is_block:
      return call(*arguments, **options)

    def run(block: nn.Module, *arguments):
      nonlocal inside
      inside = True
      try:
        return block(*arguments, **options)
      finally:
        inside = False

    return nn.remat(run)(context.module, *arguments)

  return nn.intercept_methods(intercept)


def _of_blocks(whole: Gradient, blocks: int, images: int, unroll: bool) -> Gradient:
  def gradient(variables: Variables, batch: Batch, key: Array, step: Array):
    params = variables["params"]
    others = {name: value for name, value in variables.items() if name != "params"}

    def add(carry, block):
      others, total = carry
      index, rows = block
      output, gradients = whole(
        {"params": params, **others}, rows, jax.random.fold_in(key, index), step
      )
      # The dtypes of a scan's carry must not change.
      others = jax.tree.map(lambda new, old: new.astype(old.dtype), output.collections, others)
      return (others, jax.tree.map(jnp.add, total, gradients)), (output.terms, output.metrics)

    start = (others, jax.tree.map(jnp.zeros_like, params))
    rows = split(batch, blocks, images)
    every = jnp.arange(blocks), rows
    (others, total), scalars = jax.lax.scan(add, start, every, unroll=blocks if unroll else 1)
    terms, metrics = jax.tree.map(lambda values: values.mean(axis=0), scalars)
    return LossOutput(terms, metrics, others), jax.tree.map(lambda sum_: sum_ / blocks, total)

  return gradient
