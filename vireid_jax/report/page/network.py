"""The network and the test images of a run, and their features, which are cached."""

import dataclasses
import functools
import hashlib
import json
import pathlib
import zipfile
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from vireid_jax import config as config_lib
from vireid_jax.common import files, workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES, Records
from vireid_jax.config import images as config_images
from vireid_jax.data.prepared import cache
from vireid_jax.data.prepared.source import Dataset, ImageSet
from vireid_jax.data.training import augment
from vireid_jax.evaluators import protocols
from vireid_jax.evaluators.embed import feature_methods
from vireid_jax.evaluators.protocols.comparison import Comparison
from vireid_jax.evaluators.protocols.scoring import Scored
from vireid_jax.evaluators.query_scores import QueryScores
from vireid_jax.methods.base import Method
from vireid_jax.report.page.runs import PageRun
from vireid_jax.retrieval.trained import Trained, restore


@dataclasses.dataclass(frozen=True)
class Embedded:
  """A network and the features of its test images.

  Attributes:
    trained: Trained network.
    method: Method, set to the evaluated feature.
    dataset: Data set of the images.
    images: Images of the test split, encoded.
    features: float32 [n, d], retrieval features.
    normalize: Whether images are ranked by cosine similarity.
    comparisons: Comparison of trial 0 by setting; lists show the first.
    protocol: Protocol of the comparisons.
  """

  trained: Trained
  method: Method
  dataset: Dataset
  images: ImageSet
  features: np.ndarray
  normalize: bool
  comparisons: dict[str, Comparison]
  protocol: Any

  @property
  def headline(self) -> str:
    """Name of the first setting."""
    return next(iter(self.comparisons))

  @functools.cached_property
  def scores(self) -> dict[str, list[QueryScores]]:
    """Each query's scores in every trial, by setting; a protocol without `Scored` has trial 0."""
    if isinstance(self.protocol, Scored):
      known, options = self.dataset.metadata, {"normalize": self.normalize}
      return self.protocol.trial_scores(self.features, self.records, known, **options)
    return {
      name: [each.scores(self.similarity(each), self.records)]
      for name, each in self.comparisons.items()
    }

  def trials(self, setting: str) -> Iterator[Comparison]:
    """Yields the comparison of each trial of a setting."""
    if isinstance(self.protocol, Scored):
      return self.protocol.settings(self.records, self.dataset.metadata)[setting].comparisons()
    return iter([self.comparisons[setting]])

  def similarity(self, comparison: Comparison) -> np.ndarray:
    """Returns the similarities float [q, g] of a comparison."""
    return comparison.similarity(self.features, normalize=self.normalize)

  @property
  def records(self) -> Records:
    """Records of the images."""
    return self.images.records

  def pixels(self, rows: np.ndarray) -> np.ndarray:
    """Returns uint8 [m, height, width, 3] at the network's size."""
    trained = self.trained
    return cache.fill(self.images.take(np.asarray(rows)), trained.image_size, trained.resize)

  def normalized(self, rows: np.ndarray, modality: str) -> jax.Array:
    """Returns float [m, height, width, 3], normalised for the network."""
    return augment.make_normalizer(self.trained.operations[modality])(self.pixels(rows))

  def modality(self, row: int) -> str:
    """Returns 'visible' or 'infrared'."""
    return MODALITIES[self.records.modality[row]]


def embed(run: PageRun) -> Embedded:
  """Restores a run's checkpoint and embeds its test images, or reads cached features.

  Raises:
    UserError: The checkpoint or its data set is missing, or of another version.
  """
  trained = restore(run.workdir, step=run.step)
  config = trained.config
  dataset = config_images.open_dataset(config)
  split = config_lib.split_name(config, config["eval"]["split"])
  images = dataset.load(split, masks=dataset.has_masks)
  options = config["eval"]
  protocol = dict(options["protocol"])
  protocol = protocols.create(protocol.pop("name"), **protocol)
  comparisons = protocol.comparisons(images.records, dataset.metadata)
  if not comparisons:
    raise UserError(f"the protocol of {run.workdir} has no setting for its test images")
  # If several features were evaluated, the first one's results are the plain ones.
  (chosen,) = feature_methods(trained.method, tuple(options["features"])[:1]).items()
  features = _features(run.workdir, trained, chosen, images)
  return Embedded(
    trained, chosen[1], dataset, images, features, options["normalize"], comparisons, protocol
  )


def _features(
  workdir: pathlib.Path, trained: Trained, chosen: tuple[str, Method], images: ImageSet
) -> np.ndarray:
  """Returns features float32 [n, d], cached in `workdir/report/`."""
  path = workdir / workdir_files.REPORT / f"features_step_{trained.step:07d}.npz"
  flip = bool(trained.config["eval"]["flip"])
  facts = json.dumps([trained.fingerprint(), images.fingerprint(), flip, chosen[0]])
  key = hashlib.sha256(facts.encode()).hexdigest()
  kept = _read(path, key)
  if kept is not None:
    return kept
  embedder = trained.embedder(dict([chosen]), batch=trained.config["eval"]["batch"], flip=flip)
  (features,) = embedder(trained.variables, images).values()
  files.make_workdir(path.parent)
  with files.user_errors_for_writes(workdir), files.replacing(path) as file:
    np.savez(file, features=features, key=np.array(key))
  return features


def _read(path: pathlib.Path, key: str) -> np.ndarray | None:
  try:
    with np.load(path) as stored:
      return stored["features"] if str(stored["key"]) == key else None
  except (OSError, ValueError, KeyError, zipfile.BadZipFile):
    return None
