"""The versions of packages on which a run's results depend."""

from importlib import metadata

from vireid_jax.common.version import __version__

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


def versions() -> dict[str, str]:
  """Returns the versions of this package and of `PACKAGES`, by name."""
  return {"vireid_jax": __version__} | {name: metadata.version(name) for name in PACKAGES}
