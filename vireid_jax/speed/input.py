"""Benchmark of the training input: filling the cache, gathering, augmenting."""

import argparse
import io
import time
from collections.abc import Callable

import numpy as np

from vireid_jax.common import progress, table
from vireid_jax.common.formats import Column
from vireid_jax.common.records import VISIBLE, Records
from vireid_jax.data.prepared.source import ImageSet

OPERATIONS = {
  "crop_flip": ("pad_crop()", "flip()", "normalize()"),
  "channel": (
    "pad_crop()",
    "flip()",
    "normalize()",
    "random_erasing()",
    "channel_adap_gray()",
  ),
}


def add_arguments(parser: argparse.ArgumentParser):
  """Adds the flags of the benchmark."""
  parser.add_argument("--images", type=int, default=2048, help="JPEG images in the cache")
  parser.add_argument("--batch", type=int, default=64, help="images per batch")
  parser.add_argument("--size", type=int, nargs=2, default=(288, 144), help="height and width")
  parser.add_argument("--seconds", type=float, default=3.0, help="seconds per measurement")
  parser.add_argument("--repeats", type=int, default=3, help="how often each is measured")


def run(options: argparse.Namespace) -> dict:
  """Measures images per second.

  Returns:
    Images per second of 'fill': decoding JPEG images of the final size into the cache; 'gather':
    random rows of the cache; 'augment/<name>': the compiled augmentation only; 'batch/<name>':
    gather, transfer and augmentation one after the other, the longest that a step can wait.
  """
  images = _encoded_images(options.images, tuple(options.size))
  sides, rates = _sides(images, options), {}
  for name, side in progress.tracked(list(sides.items()) * options.repeats, "timing"):
    rates.setdefault(name, []).append(_rate(side, options.seconds))
  counts = {"images": options.images, "batch": options.batch, "size": list(options.size)}
  return {"images_per_second": rates, **counts}


def text(numbers: dict) -> str:
  """Describes the best and the median of the repeats for a person."""
  height, width = numbers["size"]
  cells = [
    (name, f"{max(x):,.0f}", f"{np.median(x):,.0f}")
    for name, x in numbers["images_per_second"].items()
  ]
  drawn = table.plain(("", "best", "median"), cells, "lrr", indent="  ")
  return f"{height}x{width}, batches of {numbers['batch']}, images per second:\n{drawn}"


def columns(numbers: dict) -> list[Column]:
  """Returns the columns of `rows`."""
  del numbers
  rates = (Column(f"{name}_images_per_second", "images_per_second") for name in ("best", "median"))
  return [Column("side"), Column("images"), Column("batch"), *rates]


def rows(numbers: dict) -> list[dict]:
  """Returns a row per side."""
  return [
    {
      **numbers,
      "side": side,
      "best_images_per_second": max(rates),
      "median_images_per_second": float(np.median(rates)),
    }
    for side, rates in numbers["images_per_second"].items()
  ]


def _sides(images: ImageSet, options: argparse.Namespace) -> dict[str, Callable[[], int]]:
  """Returns functions by name; each processes some images and returns their number."""
  import jax

  from vireid_jax.data.prepared import cache
  from vireid_jax.data.training.augment import make_pipeline

  size, rng = tuple(options.size), np.random.default_rng(0)
  pixels = cache.fill(images, size, "lanczos")

  def fill() -> int:
    return len(cache.fill(images, size, "lanczos"))

  def gather() -> np.ndarray:
    return pixels[rng.integers(0, len(pixels), options.batch)]

  def augment(pipeline, batch) -> int:
    return len(jax.block_until_ready(pipeline(jax.random.key(0), batch)))

  sides = {"fill": fill, "gather": lambda: len(gather())}
  for name, operations in OPERATIONS.items():
    pipeline, batch = jax.jit(make_pipeline(operations)), jax.device_put(gather())
    augment(pipeline, batch)
    sides[f"augment/{name}"] = lambda p=pipeline, b=batch: augment(p, b)
    sides[f"batch/{name}"] = lambda p=pipeline: augment(p, gather())
  return sides


def _rate(side: Callable[[], int], seconds: float) -> float:
  start, count = time.perf_counter(), 0
  while time.perf_counter() - start < seconds:
    count += side()
  return count / (time.perf_counter() - start)


def _encoded_images(count: int, size: tuple[int, int]) -> ImageSet:
  """Returns smooth random pictures, which compress about as well as photographs."""
  from PIL import Image

  rng, encoded = np.random.default_rng(0), []
  for _ in range(count):
    coarse = Image.fromarray(rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8))
    buffer = io.BytesIO()
    coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    encoded.append(buffer.getvalue())
  ones = np.ones(count)
  return ImageSet(Records(ones, ones, VISIBLE * ones, [f"{i}.jpg" for i in range(count)]), encoded)
