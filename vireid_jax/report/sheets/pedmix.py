"""Pairs of training images before and after mixing."""

import argparse
import pathlib

import jax
import numpy as np

from vireid_jax import config as config_lib
from vireid_jax.common import files, paths
from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.picture_grid import picture_grid
from vireid_jax.common.records import MODALITIES
from vireid_jax.config import checks
from vireid_jax.config import images as config_images
from vireid_jax.data.prepared import cache
from vireid_jax.data.training import sampler
from vireid_jax.methods.tmpa import region as region_lib
from vireid_jax.methods.tmpa.pedmix import PedMix
from vireid_jax.report.sheets.labels import strip
from vireid_jax.retrieval.trained import restore

TITLE, SIDES = 30, 16  # pixels: height of a column's title, and of the modalities below it
OUTSIDE = 0.25  # brightness outside a region
CONTROLS = ("mixup", "cutmix", "global")

Pair = tuple[np.ndarray, np.ndarray]


def load_pairs(config, count: int, seed: int) -> tuple[Pair, Pair | None]:
  """Draws training pairs of different identities.

  Args:
    config: Config of a run.
    count: Number of pairs.
    seed: Seed of the draw.

  Returns:
    Images uint8 [count, h, w, 3] and regions from masks float32 [count, h, w], each as (visible,
    infrared); None instead of regions if there are no masks.
  """
  dataset = config_images.open_dataset(config)
  images = config_images.load_train_images(config, dataset, masks=dataset.has_masks)
  index = sampler.IdentityIndex(images.records)
  pairs = sampler.create("pairs", index=index, seed=seed, num_identities=count, num_instances=1)
  drawn = pairs.batch(0)
  chosen = [images.take(rows) for rows in (drawn.visible, drawn.infrared)]
  size = tuple(config.data.image_size)
  pixels = tuple(cache.fill(each, size, config.data.resize) for each in chosen)
  if not dataset.has_masks:
    return pixels, None
  masks = (cache.fill_masks(each, size) for each in chosen)
  return pixels, tuple(np.asarray(region_lib.from_masks(each)) for each in masks)


def own_regions(workdir: pathlib.Path, images: Pair) -> Pair:
  """Returns where a run's latest network looks, float32 [n, h, w] for each modality.

  Raises:
    UserError: There is no checkpoint, or its method has no region of attention.
  """
  trained = restore(workdir)
  if not hasattr(trained.method, "attended_region"):
    raise UserError(
      f"{workdir} has a network of {trained.method_name}, which has no region of attention; "
      "give the --workdir of a tmpa run, or omit it"
    )
  region = jax.jit(trained.method.attended_region, static_argnums=2)
  return tuple(
    np.asarray(region(trained.variables, pixels, name))
    for pixels, name in zip(images, MODALITIES, strict=True)
  )


def columns(images: Pair, regions: dict[str, Pair], *, ratio: float, seed: int) -> dict[str, Pair]:
  """Returns the columns of the sheet by title, each a pair of uint8 [n, h, w, 3]."""
  drawn = {"original": images}
  for name, pair in regions.items():
    drawn[name] = tuple(
      (image * (OUTSIDE + (1 - OUTSIDE) * region[..., None])).astype(np.uint8)
      for image, region in zip(images, pair, strict=True)
    )
  key = jax.random.key(seed)

  def mix(strategy: str, pair: Pair | None) -> Pair:
    pedmix = PedMix(strategy, ratio=ratio, probability=1.0)
    return tuple(map(np.asarray, jax.jit(pedmix.__call__)(key, images, pair)))

  for strategy in ("swap", "blend"):
    for name, pair in regions.items():
      drawn[f"{strategy} {name}"] = mix(strategy, pair)
  return drawn | {name: mix(name, None) for name in CONTROLS}


def layout(drawn: dict[str, Pair], scale: int) -> np.ndarray:
  """Arranges the columns side by side, uint8 [h, w, 3]; title and modalities are above each."""
  blocks = []
  for title, pair in drawn.items():
    grid = picture_grid(zip(*(_enlarged(side, scale) for side in pair), strict=True))
    half = grid.shape[1] // 2
    sides = np.hstack([strip(name, half, SIDES) for name in MODALITIES])
    blocks.append(np.vstack([strip(title, grid.shape[1], TITLE), sides, grid]))
  return np.hstack(blocks)


def _enlarged(images: np.ndarray, scale: int) -> np.ndarray:
  return images.repeat(scale, axis=1).repeat(scale, axis=2)


def draw(config, *, pairs: int, ratio: float, seed: int, scale: int, workdir=None) -> np.ndarray:
  """Draws the sheet for a config's training data, uint8 [h, w, 3]."""
  images, masks = load_pairs(config, pairs, seed)
  prior = np.broadcast_to(region_lib.prior(*images[0].shape[1:3]), images[0].shape[:3])
  regions = {"prior": (prior, prior)} | ({} if masks is None else {"mask": masks})
  if workdir is not None:
    regions["cam"] = own_regions(workdir, images)
  return layout(columns(images, regions, ratio=ratio, seed=seed), scale)


def draw_and_write(options: argparse.Namespace) -> None:
  """Draws the sheet for the command line, writes it, and prints its path.

  Args:
    options: Options of `python -m vireid_jax.pedmix_sheet`.

  Raises:
    UserError: The config cannot be used, or the picture cannot be written.
  """
  from PIL import Image

  given = vars(options)
  config = config_lib.load(given.pop("config"), given.pop("overrides"))
  out = paths.path(given.pop("out"), "--out=")
  if given["workdir"] is not None:
    given["workdir"] = files.folder_named(given["workdir"], "--workdir")
  if out.suffix.lower() != ".png":
    raise UserError(f"--out is {out}; expected a file name ending in .png")
  checks.validate(config)
  files.check_file(out, "--out")
  sheet = Image.fromarray(draw(config, **given))
  with files.new_file(out, "--out") as file:
    sheet.save(file, "PNG")
  print(f"wrote {printable(str(out))}")
