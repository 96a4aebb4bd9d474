"""Compares kernels' gradients of bfloat16 layers on all devices with float32.

Run by test_kernel_gradients in a process of its own: the number of devices is fixed when jax
starts. Prints one JSON line: the largest relative error of a convolution and a dense layer, and the
dtypes in which devices sum arrays.
"""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np

from vireid_jax.models.conv import Conv
from vireid_jax.models.dense import Dense
from vireid_jax.models.numerics import Numerics
from vireid_jax.runtime import mesh as mesh_lib

# Layer of 8 channels -> the shape of its kernel.
LAYERS = {
  lambda numerics: Conv(8, 3, numerics=numerics): (3, 3, 8, 8),
  lambda numerics: Dense(8, numerics): (8, 8),
}


def compare(make, shape):
  """Returns a layer's relative error, and the dtypes in which its kernel's gradient is summed."""
  mesh, rng = mesh_lib.make_mesh(), np.random.default_rng(0)
  x, target = (jnp.asarray(rng.normal(size=(64, 8, 4, 8)), jnp.bfloat16) for _ in range(2))
  kernel = jnp.asarray(rng.normal(size=shape), jnp.float32)

  def loss(kernel, x, target):
    module = make(Numerics(str(x.dtype), conv_impl="xla"))
    params = {"kernel": kernel, "bias": jnp.zeros(8)}
    products = module.apply({"params": params}, x) * target
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
  summed = {names.get(each.split("x")[-1], each) for each in sums}
  return float(jnp.max(jnp.abs(found - full)) / jnp.max(jnp.abs(full))), summed


def main():
  """Prints the comparison."""
  errors, summed = zip(*(compare(*layer) for layer in LAYERS.items()), strict=True)
  print(json.dumps({"error": max(errors), "summed": sorted(set.union(*summed))}))


if __name__ == "__main__":
  main()
