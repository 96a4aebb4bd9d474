"""Mixes a batch, split over all devices, and saves it; run by test_pedmix."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import small_methods

from vireid_jax.runtime import mesh as mesh_lib

PAIRS, SIZE = 8, (48, 24)


def batch() -> dict[str, np.ndarray]:
  """Draws pairs whose masks are ellipses of different places and sizes."""
  rng = np.random.default_rng(0)
  y, x = np.mgrid[: SIZE[0], : SIZE[1]]
  drawn = {"label": np.repeat(np.arange(PAIRS // 2, dtype=np.int32), 2)}
  for name in ("visible", "infrared"):
    drawn[name] = rng.integers(0, 256, (PAIRS, *SIZE, 3), np.uint8)
    height, width = rng.uniform(0.3, 0.48, (2, PAIRS, 1, 1)) * np.reshape(SIZE, (2, 1, 1, 1))
    centre = np.reshape(SIZE, (2, 1, 1, 1)) / 2 + rng.uniform(-2, 2, (2, PAIRS, 1, 1))
    inside = ((y - centre[0]) / height) ** 2 + ((x - centre[1]) / width) ** 2 < 1
    drawn[f"{name}_mask"] = 255 * inside[..., None].astype(np.uint8)
  return drawn


def mixed(**pedmix) -> dict[str, jax.Array]:
  """Mixes the batch, split over all devices, by TMPA's own hook."""
  mesh = mesh_lib.make_mesh()
  method = small_methods.make("tmpa", pedmix=pedmix)
  mix = jax.jit(lambda key, given: method.mix({}, given, rngs=key, step=jnp.int32(0)))
  return mix(jax.random.key(3), mesh_lib.to_global(batch(), mesh))


def main(path: str) -> None:
  """Mixes and saves."""
  found = mixed(region="mask")
  assert len(found["visible"].sharding.device_set) == jax.device_count()
  np.savez(path, devices=jax.device_count(), **{k: np.asarray(v) for k, v in found.items()})


if __name__ == "__main__":
  main(sys.argv[1])
