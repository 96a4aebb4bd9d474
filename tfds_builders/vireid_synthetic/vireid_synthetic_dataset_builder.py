"""Rendered pedestrians in SYSU-MM01's protocol, from a seed instead of from files."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from concurrent import futures

import cv2
import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.layout_builder import LayoutBuilder
from vireid_jax.data import synthetic
from vireid_jax.data.layout import Image, Layout

TRIALS = 10
JPEG_QUALITY = 95
_AHEAD = 256  # images rendered before the writer has to take them: bounds memory


def listing(preset: str) -> Layout:
  """Lists the images of a preset as if they lay on disk in SYSU-MM01's layout."""
  spec = synthetic.PRESETS[preset]
  images = []
  for split in ("train", "val", "test"):
    for identity, camera, index in spec.images(split):
      name = f"cam{camera}/{identity:04d}/{index:04d}.jpg"
      path = pathlib.Path(name)
      images.append(Image(path, identity, camera, spec.modality(camera), name, split))
  metadata = {
    "synthetic": True,
    "subsets": {},
    "gallery_permutations": gallery_permutations(spec),
    "skipped": [],
    "world": dataclasses.asdict(spec),
  }
  return Layout(pathlib.Path(), tuple(images), metadata, (), ())


def gallery_permutations(spec: synthetic.WorldSpec) -> dict[str, dict[str, list[list[int]]]]:
  """Draws `TRIALS` orders of the image numbers of every camera and test identity.

  Args:
    spec: the world; its seed fixes the draws.

  Returns:
    Rows of 1-based image numbers by camera and identity, both strings.
  """
  drawn: dict[str, dict[str, list[list[int]]]] = {}
  for identity in spec.identities("test"):
    for camera in spec.cameras_of(identity):
      generator = np.random.default_rng((spec.seed, camera, identity))
      rows = [generator.permutation(spec.images_per_camera) + 1 for _ in range(TRIALS)]
      drawn.setdefault(str(camera), {})[str(identity)] = np.asarray(rows).tolist()
  return drawn


def rendered(spec: synthetic.WorldSpec, image: Image) -> bytes:
  """Renders one listed image; returns it as a JPEG file."""
  pixels = synthetic.render(spec, image.identity, image.camera, int(image.path.stem)).image
  quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
  return cv2.imencode(".jpg", pixels[..., ::-1], quality)[1].tobytes()


class Builder(LayoutBuilder):
  """Renders and stores one preset of the synthetic data set."""

  HOMEPAGE = ""
  BUILDER_CONFIGS = tuple(
    tfds.core.BuilderConfig(
      name=name,
      description=f"{spec.train_identities} + {spec.val_identities} + {spec.test_identities} "
      f"identities, {spec.image_height} x {spec.image_width} pixels, seed {spec.seed}.",
    )
    for name, spec in synthetic.PRESETS.items()
  )
  listing = staticmethod(listing)

  def _listing(self, dl_manager) -> Layout:
    return listing(self.builder_config.name)

  def _bytes(self, images: Sequence[Image]) -> Iterator[bytes]:
    spec = synthetic.PRESETS[self.builder_config.name]
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
      for start in range(0, len(images), _AHEAD):
        yield from pool.map(lambda image: rendered(spec, image), images[start : start + _AHEAD])
