"""What the device can do, measured, and the memory it has used."""

import jax
import jax.numpy as jnp

from vireid_jax.speed.ranking import peak_memory_gb
from vireid_jax.speed.turns import Side

# Sides of the square matrices, and numbers in the copied array: enough work to forget the launch,
# and on CPU far more than its caches hold.
PRODUCT_SIZE = {"cpu": 2048}
COPY_LENGTH = {"cpu": 2**25}
LARGE_PRODUCT, LARGE_COPY = 8192, 2**28


def product_side(dtype: jnp.dtype) -> Side:
  """Returns a product of two large square matrices at the default precision.

  On GPUs that offer it, the default precision of float32 is TF32, as it is in a network.
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
  """Returns a pass that reads a long float32 array and writes it back.

  In place: a fresh array would cost CPUs more in page faults than in traffic.
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
  """Returns a peak: 'flops' or 'bytes' per second in the fastest call."""
  return side.facts[amount] / min(side.seconds)


def memory() -> dict[str, float | None]:
  """Returns the most bytes held so far: on the first device, where it tells, and in the process."""
  statistics = jax.local_devices()[0].memory_stats() or {}
  return {
    "device_peak_bytes": statistics.get("peak_bytes_in_use"),
    "process_peak_bytes": 1e9 * peak_memory_gb(),
  }
