"""Compares the kernel's gradient of a bfloat16 convolution on all devices with float32.

Run by test_kernel_gradients in a process of its own: the number of devices is fixed when jax
starts. Prints one JSON line: the relative error, and the dtypes in which devices sum arrays.
"""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np

from vireid_jax.models.conv import Conv
from vireid_jax.models.numerics import Numerics
from vireid_jax.runtime import mesh as mesh_lib


def main():
  """Prints the comparison."""
  mesh, rng = mesh_lib.make_mesh(), np.random.default_rng(0)
  x, target = (jnp.asarray(rng.normal(size=(64, 8, 4, 8)), jnp.bfloat16) for _ in range(2))
  kernel = jnp.asarray(rng.normal(size=(3, 3, 8, 8)), jnp.float32)

  def loss(kernel, x, target):
    module = Conv(8, 3, numerics=Numerics(str(x.dtype), conv_impl="xla"))
    products = module.apply({"params": {"kernel": kernel}}, x) * target
    return jnp.sum(products.astype(jnp.float32))

  full = jax.jit(jax.grad(loss))(kernel, *(y.astype(jnp.float32) for y in (x, target)))
  function = jax.jit(jax.grad(loss), out_shardings=mesh_lib.replicated(mesh))
  split = [jax.device_put(y, mesh_lib.by_rows(mesh)) for y in (x, target)]
  with jax.set_mesh(mesh):
    lowered = function.lower(jax.device_put(kernel, mesh_lib.replicated(mesh)), *split)
    found = lowered.compile()(jax.device_put(kernel, mesh_lib.replicated(mesh)), *split)
  # As lowered: the CPU's compiler widens every sum, whatever it was told.
  sums = re.findall(r"stablehlo\.all_reduce.*?\) : \(tensor<([^>]*)>", lowered.as_text(), re.DOTALL)
  names = {"f32": "float32", "bf16": "bfloat16"}
  summed = sorted({names.get(each.split("x")[-1], each) for each in sums})
  error = jnp.max(jnp.abs(found - full)) / jnp.max(jnp.abs(full))
  print(json.dumps({"error": float(error), "summed": summed}))


if __name__ == "__main__":
  main()
