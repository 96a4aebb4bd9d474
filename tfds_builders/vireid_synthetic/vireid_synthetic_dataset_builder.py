"""Synthetic pedestrians in SYSU-MM01's protocol, rendered from a seed."""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence

import tensorflow_datasets as tfds

from tfds_builders.layout_builder import LayoutBuilder
from vireid_jax.data import synthetic
from vireid_jax.data.layout import Image, Layout


def listing(preset: str) -> Layout:
  """Lists the images of a preset as if they were files in SYSU-MM01's layout."""
  spec = synthetic.PRESETS[preset]
  images = []
  for split in synthetic.SPLITS:
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
  """Returns rows of 1-based image numbers by camera and test identity, with strings as keys."""
  drawn: dict[str, dict[str, list[list[int]]]] = {}
  for identity in spec.identities("test"):
    for camera in spec.cameras_of(identity):
      rows = synthetic.gallery_permutation(spec, identity, camera)
      drawn.setdefault(str(camera), {})[str(identity)] = rows.tolist()
  return drawn


def rendering_processes() -> int:
  """Returns the number of rendering processes: one per core under `python -m`, else 1.

  Each process imports the main module again, which fails for a script without a main guard, a
  notebook or code from standard input.
  """
  started_as_module = getattr(sys.modules["__main__"], "__spec__", None) is not None
  return os.cpu_count() or 1 if started_as_module else 1


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
  masks = True  # the renderer knows them, and they add only a fifth to the size

  def _listing(self, dl_manager) -> Layout:
    return listing(self.builder_config.name)

  def _bytes(self, images: Sequence[Image]) -> Iterator[tuple[bytes, bytes | None]]:
    spec = synthetic.PRESETS[self.builder_config.name]
    keys = [(image.identity, image.camera, int(image.path.stem)) for image in images]
    workers = rendering_processes()
    for picture in synthetic.render_encoded(spec, keys, masks=self.masks, workers=workers):
      yield picture.image, picture.mask or None
