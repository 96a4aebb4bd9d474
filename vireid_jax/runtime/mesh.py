"""The device mesh and how arrays are sharded over it."""

from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vireid_jax.common.errors import UserError

DATA_AXIS = "data"


def make_mesh(devices: list | None = None) -> Mesh:
  """Makes a one-axis mesh over the given devices, by default all devices of all hosts.

  The devices of a process are adjacent, so that the rows it loads are contiguous.
  """
  devices = jax.devices() if devices is None else devices
  devices = sorted(devices, key=lambda device: (device.process_index, device.id))
  return Mesh(np.array(devices), (DATA_AXIS,))


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding in which every device holds the whole array."""
  return NamedSharding(mesh, PartitionSpec())


def by_rows(mesh: Mesh) -> NamedSharding:
  """Returns the sharding that splits the first axis over the devices."""
  return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def on_all_devices(x: jax.Array) -> jax.Array:
  """Replicates a small array on all devices, inside a step that is compiled under a mesh.

  A pairwise matrix (equal identities, distances of centres) is needed split by rows in one place
  and by columns in another. Left to itself, the compiler exchanges the matrix between all devices;
  with all rows at hand, each device computes its own block. Does nothing without `jax.set_mesh`.
  """
  if jax.sharding.get_abstract_mesh().empty:
    return x
  return jax.lax.with_sharding_constraint(x, PartitionSpec())


def sum_over_devices(function: Callable[..., jax.Array], *rows: jax.Array) -> jax.Array:
  """Applies a function to each device's rows and sums its results, inside a compiled step.

  The compiler would add the results in the dtype in which the function's last product left them;
  here they are added in the dtype that the function returns. Without `jax.set_mesh`, or on one
  device, the function is applied to all rows.

  Args:
    function: Of arrays with the same first axis; its results for parts of them add up.
    rows: Arrays that are split by rows.
  """
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty or mesh.size == 1:
    return function(*rows)

  def summed(*rows: jax.Array) -> jax.Array:
    return jax.lax.psum(function(*rows), DATA_AXIS)

  return jax.shard_map(summed, in_specs=PartitionSpec(DATA_AXIS), out_specs=PartitionSpec())(*rows)


def check_divisible(pairs: int, mesh: Mesh) -> None:
  """Raises UserError unless a batch of `pairs` pairs splits evenly over the devices."""
  if pairs % mesh.size:
    raise UserError(
      f"a batch of {pairs} pairs (sampler.num_identities x sampler.num_instances) does not split "
      f"over {mesh.size} devices; choose a multiple of {mesh.size}, for example "
      f"{-(-pairs // mesh.size) * mesh.size}"
    )


def local_rows(count: int, mesh: Mesh) -> slice:
  """Returns which rows of a global batch of `count` rows this process loads."""
  mine = [
    i for i, device in enumerate(mesh.devices.flat) if device.process_index == jax.process_index()
  ]
  per_device = count // mesh.size
  return slice(mine[0] * per_device, (mine[-1] + 1) * per_device)


def to_global(local: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
  """Assembles global arrays, split by rows, from the rows that each process loaded."""
  sharding = by_rows(mesh)
  return {
    name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in local.items()
  }
