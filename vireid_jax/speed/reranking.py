"""Benchmark of re-ranking at SYSU-MM01's full size, next to a plain NumPy loop."""

import argparse
import time

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.common.formats import Column
from vireid_jax.common.records import INFRARED, Records
from vireid_jax.evaluators import reranking
from vireid_jax.evaluators.protocols import sysu_mm01
from vireid_jax.evaluators.ranking import evaluate_ranking
from vireid_jax.speed import ranking


def add_arguments(parser: argparse.ArgumentParser):
  """Adds the flags of the benchmark."""
  parser.add_argument("--dimension", type=int, default=2048, help="length of a feature")
  parser.add_argument("--trials", type=int, default=10, help="gallery draws")
  parser.add_argument("--seed", type=int, default=0, help="seed of the features")
  parser.add_argument(
    "--structure",
    type=float,
    default=0.0,
    help="scale of the identities' centres, added to noise of scale 1; 0 for random features",
  )
  parser.add_argument(
    "--reference_trials",
    type=int,
    default=0,
    help="number of trials on which to time a plain NumPy loop too",
  )


def run(options: argparse.Namespace) -> dict:
  """Times re-ranked all-search single-shot evaluation, including distances and ranking.

  Args:
    options: Parsed flags of `add_arguments`.

  Returns:
    Counts, total seconds, peak memory in GB, and with `--reference_trials` the seconds of the loop
    for one trial and the largest difference of mAP in [0, 1].
  """
  if min(options.dimension, options.trials) < 1 or options.reference_trials > options.trials:
    raise UserError("--dimension and --trials must be at least 1, --reference_trials at most that")
  records = ranking.full_size_records()
  features = draw_features(records, options)
  protocol = sysu_mm01.Protocol(
    modes="all", shots=1, trials=options.trials, galleries="random_choice"
  )
  start = time.perf_counter()
  found = protocol.evaluate(features, records, {}, rerank=reranking.Reranking())
  numbers = {
    "queries": int((records.modality == INFRARED).sum()),
    "trials": options.trials,
    "seconds": round(time.perf_counter() - start, 2),
    "peak_memory_gb": ranking.peak_memory_gb(),
    "units": {**ranking.UNITS, "plain_seconds_per_trial": "seconds"},
  }
  if options.reference_trials:
    (result,) = found.values()
    numbers |= _reference(features, records, options.reference_trials, result)
  return numbers


def text(numbers: dict) -> str:
  """Describes the numbers for a person."""
  lines = [
    f"re-ranking, all-search single-shot, {numbers['queries']} queries, {numbers['trials']} trials",
    f"{numbers['seconds']:.2f} s, peak memory {numbers['peak_memory_gb']:.2f} GB",
  ]
  if "plain_seconds_per_trial" in numbers:
    lines.append(f"plain loop: {numbers['plain_seconds_per_trial']:.2f} s for one trial")
    lines.append(f"largest difference of mAP: {numbers['largest_difference']:.1e}")
  return "\n".join(lines)


def columns(numbers: dict) -> list[Column]:
  """Returns the columns of `rows`."""
  del numbers
  return [
    Column("side"),
    Column("trial_seconds", "seconds"),
    Column("queries"),
    Column("trials"),
    Column("peak_memory", "bytes"),
    Column("largest_difference", "rate"),
  ]


def rows(numbers: dict) -> list[dict]:
  """Returns a row per side, with the seconds of one trial."""
  shared = {**numbers, "peak_memory": round(1e9 * numbers["peak_memory_gb"])}
  seconds = {"vireid_jax": numbers["seconds"] / numbers["trials"]}
  if "plain_seconds_per_trial" in numbers:
    seconds["plain loop"] = numbers["plain_seconds_per_trial"]
  return [{**shared, "side": side, "trial_seconds": each} for side, each in seconds.items()]


def draw_features(records: Records, options) -> np.ndarray:
  """Returns float32 [n, d]: noise, plus a centre for each identity if `structure` is not 0."""
  random = np.random.default_rng(options.seed)
  features = random.standard_normal((len(records), options.dimension), dtype=np.float32)
  if options.structure:
    shape = (records.identity.max() + 1, options.dimension)
    centres = random.standard_normal(shape, dtype=np.float32)
    features += options.structure * centres[records.identity]
  return features


def _reference(features, records, trials, result):
  features = features / np.linalg.norm(features, axis=1, keepdims=True)
  query = np.flatnonzero(records.modality == INFRARED)
  drawn = sysu_mm01.gallery_rows(
    records, {}, mode="all", shots=1, gallery="random_choice", trials=trials
  )
  seconds, differences = [], []
  for gallery, ours in zip(drawn, result.trials, strict=False):
    start = time.perf_counter()
    distance = rerank_plainly(features[query], features[gallery])
    near = (records.camera[query] == 3)[:, None] & (records.camera[gallery] == 2)[None]
    identity = records.identity
    theirs = evaluate_ranking(
      -distance, identity[query], identity[gallery], exclude=near, unique_identities=True
    )
    seconds.append(time.perf_counter() - start)
    differences.append(abs(theirs["mAP"] - ours["mAP"]))
  return {
    "plain_seconds_per_trial": round(min(seconds), 2),
    "largest_difference": max(differences),
  }


def rerank_plainly(
  query, gallery, k1: int = 20, k2: int = 6, lambda_value: float = 0.3
) -> np.ndarray:
  """Re-ranks image by image on dense rows, like published code.

  Args:
    query: float [q, d], L2-normalised.
    gallery: float [g, d], L2-normalised.
    k1, k2, lambda_value: As in `reranking.k_reciprocal_distance`.

  Returns:
    float [q, g].
  """
  images = np.concatenate([query, gallery])
  distance = np.maximum(2 - 2 * images @ images.T, 0)
  np.fill_diagonal(distance, 0)
  distance /= distance.max(axis=1, keepdims=True)
  ranked = np.argsort(distance, axis=1, kind="stable")[:, : max(k1 + 1, k2)]
  encoding = np.zeros_like(distance)
  for image in range(len(images)):
    members = _expanded(ranked, image, k1)
    weight = np.exp(-distance[image, members])
    encoding[image, members] = weight / weight.sum()
  encoding = np.stack([encoding[near].mean(axis=0) for near in ranked[:, :k2]])
  holders = [np.flatnonzero(column) for column in encoding[len(query) :].T]
  jaccard = np.empty((len(query), len(gallery)), distance.dtype)
  for image in range(len(query)):
    shared = np.zeros(len(gallery), distance.dtype)
    for column in np.flatnonzero(encoding[image]):
      rows = holders[column]
      shared[rows] += np.minimum(encoding[image, column], encoding[len(query) + rows, column])
    jaccard[image] = 1 - shared / (2 - shared)
  return (1 - lambda_value) * jaccard + lambda_value * distance[: len(query), len(query) :]


def _expanded(ranked, image, k1):
  start = _reciprocal(ranked, image, k1)
  members = start
  for other in start:
    candidate = _reciprocal(ranked, other, round(k1 / 2))
    if 3 * len(np.intersect1d(candidate, start)) > 2 * len(candidate):
      members = np.append(members, candidate)
  return np.unique(members)


def _reciprocal(ranked, image, k):
  near = ranked[image, : k + 1]
  return near[(ranked[near, : k + 1] == image).any(axis=1)]
