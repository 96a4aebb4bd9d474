"""Benchmark of SYSU-MM01's evaluation at full size, next to a plain NumPy loop."""

import argparse
import sys
import time

import numpy as np

from vireid_jax.common import progress
from vireid_jax.common.errors import UserError
from vireid_jax.common.formats import Column
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators.protocols import sysu_mm01

IMAGES_PER_CAMERA = (1374, 1565, 1883, 1918, 1918, 1920)
IDENTITIES_PER_CAMERA = (56, 56, 93, 94, 95, 96)
# Units of the numbers of `run`.
UNITS = {
  "seconds": "seconds",
  "peak_memory_gb": "gigabytes",
  "largest_difference": "rate in [0, 1]",
}


def add_arguments(parser: argparse.ArgumentParser):
  """Adds the flags of the benchmark."""
  parser.add_argument("--dimension", type=int, default=2048, help="length of a feature")
  parser.add_argument("--features", type=int, default=2, help="number of feature matrices")
  parser.add_argument("--trials", type=int, default=10, help="gallery draws per setting")
  parser.add_argument("--repeats", type=int, default=3, help="how often each side is timed")
  parser.add_argument("--seed", type=int, default=0, help="seed of the random features")
  parser.add_argument("--reference", action="store_true", help="also time a plain NumPy loop")


def run(options: argparse.Namespace) -> dict:
  """Times all settings and features, including similarities.

  Args:
    options: Parsed flags of `add_arguments`.

  Returns:
    Counts, seconds of each repeat, peak memory in GB (before the loop runs), and with `--reference`
    the seconds of the loop and the largest difference between the two results, in [0, 1].
  """
  if min(options.dimension, options.features, options.trials, options.repeats) < 1:
    raise UserError("--dimension, --features, --trials and --repeats must be at least 1")
  records = full_size_records()
  shape = (options.features, len(records), options.dimension)
  features = np.random.default_rng(options.seed).standard_normal(shape, dtype=np.float32)
  sides = {"vireid_jax": evaluate}
  if options.reference:
    sides["plain loop"] = evaluate_plainly
  seconds, found, memory = {name: [] for name in sides}, {}, None
  for name, side in progress.tracked(list(sides.items()) * options.repeats, "timing"):
    start = time.perf_counter()
    found[name] = [side(matrix, records, options.trials) for matrix in features]
    seconds[name].append(round(time.perf_counter() - start, 3))
    memory = memory or peak_memory_gb()
  numbers = {
    "queries": int((records.modality == INFRARED).sum()),
    "visible_images": int((records.modality == VISIBLE).sum()),
    **vars(options),
    "seconds": seconds,
    "peak_memory_gb": memory,
    "units": UNITS,
  }
  for name in ("json", "benchmark", "format"):
    numbers.pop(name, None)
  if options.reference:
    pairs = zip(*found.values(), strict=True)
    numbers["largest_difference"] = max(_largest_difference(*pair) for pair in pairs)
  return numbers


def text(numbers: dict) -> str:
  """Describes the numbers for a person."""
  lines = [
    f"{numbers['queries']} queries, {numbers['visible_images']} visible images, "
    f"{numbers['features']} features of {numbers['dimension']} numbers",
    f"4 settings, {numbers['trials']} trials, similarities included",
    f"peak memory {numbers['peak_memory_gb']:.2f} GB",
  ]
  for name, seconds in numbers["seconds"].items():
    each = ", ".join(f"{value:.2f}" for value in seconds)
    lines.append(f"{name}: best {min(seconds):.2f} s of {each}")
  if "largest_difference" in numbers:
    lines.append(f"largest difference of a rate: {numbers['largest_difference']:.1e}")
  return "\n".join(lines)


def columns(numbers: dict) -> list[Column]:
  """Returns the columns of `rows`."""
  del numbers
  names = ("queries", "visible_images", "features", "dimension", "trials", "repeats")
  return [
    Column("side"),
    Column("best_seconds", "seconds"),
    *map(Column, names),
    Column("peak_memory", "bytes"),
    Column("largest_difference", "rate"),
  ]


def rows(numbers: dict) -> list[dict]:
  """Returns a row per side."""
  memory = {"peak_memory": round(1e9 * numbers["peak_memory_gb"])}
  return [
    {**numbers, **memory, "side": side, "best_seconds": min(seconds)}
    for side, seconds in numbers["seconds"].items()
  ]


def peak_memory_gb() -> float:
  """Returns the peak memory of this process so far, in GB."""
  import resource  # not on Windows

  unit = 1 if sys.platform == "darwin" else 1024
  return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 2)


def full_size_records() -> Records:
  """Returns artificial records with SYSU-MM01's numbers of images and identities per camera."""
  columns = []
  for camera, (images, identities) in enumerate(
    zip(IMAGES_PER_CAMERA, IDENTITIES_PER_CAMERA, strict=True), start=1
  ):
    for identity, share in enumerate(np.array_split(np.arange(images), identities), start=1):
      for image in range(1, len(share) + 1):
        columns.append((identity, camera, f"cam{camera}/{identity:04d}/{image:04d}.jpg"))
  identity, camera, name = zip(*columns, strict=True)
  modality = np.where(np.isin(camera, sysu_mm01.QUERY_CAMERAS), INFRARED, VISIBLE)
  return Records(np.array(identity), np.array(camera), modality, np.array(name))


def evaluate(features, records: Records, trials: int) -> dict[str, dict[str, float]]:
  """Evaluates the four settings with this package; returns the mean of each metric."""
  protocol = sysu_mm01.Protocol(trials=trials, galleries="random_choice")
  found = protocol.evaluate(features, records, {})
  return {name: result.mean for name, result in found.items()}


def evaluate_plainly(features, records: Records, trials: int) -> dict[str, dict[str, float]]:
  """Evaluates the four settings query by query: sort, leave out camera 2, score the list."""
  features = features / np.linalg.norm(features, axis=1, keepdims=True)
  queries = np.flatnonzero(records.modality == INFRARED)
  found = {}
  for mode in sysu_mm01.GALLERY_CAMERAS:
    for shots in (1, 10):
      galleries = sysu_mm01.gallery_rows(
        records, {}, mode=mode, shots=shots, gallery="random_choice", trials=trials
      )
      means = [_rank_plainly(features, records, queries, gallery) for gallery in galleries]
      found[f"{mode}/{shots}-shot/random_choice"] = {
        name: float(np.mean([mean[name] for mean in means])) for name in means[0]
      }
  return found


def _rank_plainly(features, records, queries, gallery):
  order = np.argsort(-(features[queries] @ features[gallery].T), axis=1, kind="stable")
  first, precision, penalty = [], [], []
  for query, ranked in zip(queries, gallery[order], strict=True):
    near = (records.camera[query] == 3) & (records.camera[ranked] == 2)
    identities = records.identity[ranked[~near]]
    matches = identities == records.identity[query]
    if not matches.any():
      continue
    _, seen_first = np.unique(identities, return_index=True)
    distinct = identities[np.sort(seen_first)]
    first.append(np.flatnonzero(distinct == records.identity[query])[0])
    ranks = np.flatnonzero(matches) + 1
    precision.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    penalty.append(len(ranks) / ranks[-1])
  rates = {f"rank-{rank}": np.mean(np.array(first) < rank) for rank in (1, 5, 10, 20)}
  return {**rates, "mAP": np.mean(precision), "mINP": np.mean(penalty)}


def _largest_difference(ours, theirs):
  return max(
    abs(value - theirs[setting][name])
    for setting, means in ours.items()
    for name, value in means.items()
  )
