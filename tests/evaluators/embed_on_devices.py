"""Embeds 2 x batch + 1 images on all devices and saves the matrix; run by test_embed."""

import dataclasses
import io
import sys

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from vireid_jax.common.records import Records
from vireid_jax.data.prepared.source import ImageSet
from vireid_jax.evaluators.embed import Embedder
from vireid_jax.runtime import mesh

BATCH = 8
SIZE = (32, 16)


def images(count: int = 2 * BATCH + 1) -> ImageSet:
  """Draws images of both modalities in no order, one identity each."""
  rng = np.random.default_rng(0)
  modality = rng.permutation(np.arange(count) % 2)
  encoded = []
  for _ in range(count):
    stored = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8)).save(stored, "PNG")
    encoded.append(stored.getvalue())
  names = [f"{index}.png" for index in range(count)]
  return ImageSet(Records(np.arange(count), 1 + modality, modality, names), encoded)


@dataclasses.dataclass(frozen=True)
class Linear:
  """A projection per modality, which compiles in no time; the neck is a nonlinearity."""

  feature: str = "after_neck"

  def embed(self, variables, pixels, modality):
    """Maps [n, h, w, 3] to [n, 5]."""
    before = pixels.reshape(len(pixels), -1) @ variables["params"][modality]
    return jnp.tanh(before) if self.feature == "after_neck" else before


def parts(**options):
  """Returns (method, variables, embedder's keyword arguments)."""
  keys = jax.random.split(jax.random.key(0))
  shape = (SIZE[0] * SIZE[1] * 3, 5)
  params = {
    modality: 0.02 * jax.random.normal(key, shape)
    for modality, key in zip(("visible", "infrared"), keys, strict=True)
  }
  operations = {"visible": ("flip()", "normalize()"), "infrared": ("normalize()",)}
  keywords = {"size": SIZE, "resize": "bilinear", "operations": operations, "batch": BATCH}
  return Linear(), {"params": params}, {**keywords, **options}


def main(path: str) -> None:
  """Embeds and saves."""
  method, variables, keywords = parts()
  embedder = Embedder({"after_neck": method}, mesh.make_mesh(), **keywords)
  features = embedder(variables, images())["after_neck"]
  np.savez(path, features=features, devices=jax.device_count())


if __name__ == "__main__":
  main(sys.argv[1])
