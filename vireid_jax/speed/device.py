"""Measured peaks of the device, and its peak memory."""

import jax
import jax.numpy as jnp

from vireid_jax.speed.ranking import peak_memory_gb
from vireid_jax.speed.turns import Side

# Size of the square matrices, and length of the copied array: large enough to hide the cost of a
# launch, and on a CPU far larger than its caches.
PRODUCT_SIZE = {"cpu": 2048}
COPY_LENGTH = {"cpu": 2**25}
LARGE_PRODUCT, LARGE_COPY = 8192, 2**28


def product_side(dtype: jnp.dtype) -> Side:
  """Returns a product of two large square matrices at the default precision.

  On GPUs that support it, the default precision of float32 is TF32, as in networks.
  """
  size = PRODUCT_SIZE.get(jax.default_backend(), LARGE_PRODUCT)
  left = jnp.full((size, size), 0.5, dtype)
  multiply = jax.jit(jnp.matmul)
  return Side(
    f"matrix product {dtype}",
    lambda: jax.block_until_ready(multiply(left, left)),
    facts={"flops": 2.0 * size**3},
  )


def copy_side() -> Side:
  """Returns a pass that reads a long float32 array and writes it back in place.

  On a CPU, page faults of a new array would cost more than the traffic.
  """
  length = COPY_LENGTH.get(jax.default_backend(), LARGE_COPY)
  array = jnp.zeros(length, jnp.float32)
  moved = 2.0 * array.nbytes
  increment = jax.jit(lambda x: x + 1, donate_argnums=0)

  def call() -> None:
    nonlocal array
    array = jax.block_until_ready(increment(array))

  return Side("copy", call, facts={"bytes": moved})


def rate(side: Side, amount: str) -> float:
  """Returns 'flops' or 'bytes' per second of the fastest call."""
  return side.facts[amount] / min(side.seconds)


def memory() -> dict[str, float | None]:
  """Returns peak memory in bytes: of the first device, None if unknown, and of the process."""
  statistics = jax.local_devices()[0].memory_stats() or {}
  return {
    "device_peak_bytes": statistics.get("peak_bytes_in_use"),
    "process_peak_bytes": 1e9 * peak_memory_gb(),
  }
