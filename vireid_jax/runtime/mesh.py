"""The device mesh and what lies where on it."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vireid_jax.common.errors import UserError

DATA_AXIS = "data"


def make_mesh(devices: list | None = None) -> Mesh:
  """Makes a one-axis mesh over the given devices, or all devices of all hosts.

  Those of a process stand together, so that the rows it loads do too.
  """
  devices = jax.devices() if devices is None else devices
  devices = sorted(devices, key=lambda device: (device.process_index, device.id))
  return Mesh(np.array(devices), (DATA_AXIS,))


def replicated(mesh: Mesh) -> NamedSharding:
  """Every device holds the whole array."""
  return NamedSharding(mesh, PartitionSpec())


def by_rows(mesh: Mesh) -> NamedSharding:
  """The first axis is split over the devices."""
  return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def on_all_devices(x: jax.Array) -> jax.Array:
  """Gives every device all rows of a small array, inside a step that is compiled under a mesh.

  What is computed of all pairs of rows (who shows the same identity, distances of centres) is
  wanted split by rows in one place and by columns in another. Left alone, the compiler exchanges
  the table of pairs between all devices; with the rows at hand each computes its part of it.
  Without `jax.set_mesh` it does nothing.
  """
  if jax.sharding.get_abstract_mesh().empty:
    return x
  return jax.lax.with_sharding_constraint(x, PartitionSpec())


def check_divisible(pairs: int, mesh: Mesh) -> None:
  """Raises UserError unless the batch's pairs split evenly over the devices."""
  if pairs % mesh.size:
    raise UserError(
      f"a batch of {pairs} pairs (sampler.num_identities x sampler.num_instances) does not split "
      f"over {mesh.size} devices; choose a multiple of {mesh.size}, for example "
      f"{-(-pairs // mesh.size) * mesh.size}"
    )


def local_rows(count: int, mesh: Mesh) -> slice:
  """The rows of a global batch of `count` that this process loads."""
  mine = [
    i for i, device in enumerate(mesh.devices.flat) if device.process_index == jax.process_index()
  ]
  per_device = count // mesh.size
  return slice(mine[0] * per_device, (mine[-1] + 1) * per_device)


def to_global(local: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
  """Makes global arrays, split by rows, from the rows that each process loaded."""
  sharding = by_rows(mesh)
  return {
    name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in local.items()
  }
