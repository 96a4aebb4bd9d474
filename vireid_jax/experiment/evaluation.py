"""Evaluates variables on a test set under its protocol, and describes the results."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.common import units
from vireid_jax.common.errors import UserError, nearest, shown
from vireid_jax.common.package_versions import versions
from vireid_jax.common.records import VISIBLE
from vireid_jax.common.types import Variables
from vireid_jax.config.images import load_test_images
from vireid_jax.config.parts import make_corruptions, make_suite
from vireid_jax.data.prepared.source import Dataset
from vireid_jax.data.training import placement
from vireid_jax.evaluators import chance, multi_spectral, verification
from vireid_jax.evaluators import suite as suite_lib
from vireid_jax.evaluators.embed import Embedder, Features, feature_methods
from vireid_jax.evaluators.results import SettingResult
from vireid_jax.experiment import evaluation_config, evaluation_record, ranked_sheet, unseen
from vireid_jax.methods.base import Method

RECORD_FORMAT = 1

Results = dict[str, SettingResult]


class Evaluation:
  """A test set and its protocol, to be applied to the variables of any step.

  Attributes:
    config: Config of the evaluation.
    mesh: Mesh of devices.
    mismatch: Differences from training in the network's settings and inputs, a line each.
  """

  def __init__(
    self,
    config: ConfigDict,
    dataset: Dataset,
    method: Method,
    mesh,
    *,
    mismatch: Sequence[str] = (),
  ):
    """Reads the encoded test images; compiles nothing yet.

    Args:
      config: Config of the evaluation.
      dataset: The config's data set.
      method: Method of the network.
      mesh: Mesh of devices.
      mismatch: Differences from training in the network's settings and inputs, a line each.

    Raises:
      UserError: Unknown protocol, argument or split.
    """
    self._suite = make_suite(config)
    self._corruptions = make_corruptions(config)
    on_disk = config.data.placement == placement.STREAM
    self._images = load_test_images(config, dataset, on_disk=on_disk)
    self._dataset, self.config, self.mesh = dataset, config, mesh
    self.mismatch, self._same_data = tuple(mismatch), True
    self._embedder = Embedder(
      feature_methods(method, config.eval.features),
      mesh,
      size=tuple(config.data.image_size),
      resize=config.data.resize,
      operations=config.augment,
      batch=config.eval.batch,
      flip=config.eval.flip,
    )

  def check_metric(self, name: str) -> None:
    """Raises UserError for a metric that the evaluations of a run will not have.

    Args:
      name: 'setting/metric'; empty for none.

    Raises:
      UserError: The protocol has no such setting.
    """
    comparisons = getattr(self._suite.protocol, "comparisons", None)
    if not name or comparisons is None:  # a user's protocol may not list its settings
      return
    known = list(comparisons(self.records, self._dataset.metadata))
    setting = name.rpartition("/")[0]
    extra = self._suite.mixed and "_to_mixed" in setting
    if not extra and not any(f"{setting}/".startswith(f"{each}/") for each in known):
      metric = name.rpartition("/")[2]
      raise UserError(
        f"config.checkpoint.keep_best is {shown(name)}, but the evaluation has no such setting; "
        f"{nearest(name, [f'{each}/{metric}' for each in known])}"
      )

  def check_unseen(self, stored: Mapping) -> None:
    """Raises UserError if test identities were trained on.

    Args:
      stored: Metadata of the checkpoint; see `unseen.check`.
    """
    unseen.check(stored, self.config, self._dataset, self.records)
    self._same_data = unseen.is_same(stored, self.config.data, self._dataset)

  def __call__(
    self,
    variables: Variables,
    *,
    features: Features | None = None,
    quick: bool = False,
  ) -> Results:
    """Embeds each test image once and runs the protocol.

    Args:
      variables: Variables of the method.
      features: Result of `embed` for these variables, if already computed.
      quick: Evaluate only trial 0 of the plain settings.
    """
    features = features or self.embed(variables)
    if quick:
      return self._suite.quick().evaluate(features, self.records, self._dataset.metadata)
    spectra = self._spectra(variables, features) if self._suite.mser else None
    results = self._suite.evaluate(features, self.records, self._dataset.metadata, spectra=spectra)
    return results | self._corrupted(variables, features)

  @property
  def records(self):
    """Records of the test images."""
    return self._images.records

  def embed(self, variables: Variables) -> Features:
    """Returns the features of all test images by name, float32 [n, d]."""
    return self._embedder(variables, self._images)

  def verification(self, features: Features) -> dict[str, dict]:
    """Returns ROC, TAR at FAR and distances by feature."""
    normalize = self.config.eval.normalize
    return {
      name: verification.evaluate(matrix, self.records, normalize=normalize)
      for name, matrix in features.items()
    }

  def _spectra(self, variables: Variables, features: Features) -> Features:
    """Embeds the visible images as each of their channels; see `multi_spectral`."""
    visible = self._images.take(np.flatnonzero(self.records.modality == VISIBLE))
    versions = [features]
    for change in multi_spectral.changes():
      changed = self._embedder(variables, visible, change=change)
      versions.append(suite_lib.with_visible(features, changed, self.records))
    return {
      name: multi_spectral.joined([version[name] for version in versions]) for name in features
    }

  def _corrupted(self, variables: Variables, features: Features) -> Results:
    """Evaluates the corrupted copies; infrared images and their features are unchanged."""
    if not self._corruptions:
      return {}
    rows = np.flatnonzero(self.records.modality == VISIBLE)
    visible = self._images.take(rows)
    draws = []
    for corruption in self._corruptions:
      changed = self._embedder(variables, visible, change=corruption)
      replaced = suite_lib.with_visible(features, changed, self.records)
      draws.append(self._suite.evaluate(replaced, self.records, self._dataset.metadata))
    return suite_lib.join_draws(draws, config_lib.to_dict(self.config)["eval"]["corruption"])

  def ranked_lists(self, features: Features) -> dict[str, np.ndarray]:
    """Draws ranked lists of trial 0 by name, uint8 [h, w, 3]; see `ranked_sheet`."""
    if not hasattr(self._suite.protocol, "comparisons"):  # a user's protocol may not list them
      return {}
    comparisons = self._suite.protocol.comparisons(self.records, self._dataset.metadata)
    return {
      f"ranked/{self._dataset.name}/{name}": ranked_sheet.draw(
        comparison, next(iter(features.values())), self._images, self.config
      )
      for name, comparison in ranked_sheet.one_per_modality(comparisons, self.records).items()
    }

  def chance_rates(self, results: Results) -> dict[str, dict[str, float]]:
    """Returns rank-1 and mAP in [0, 1] of a random order of trial 0's gallery, by setting."""
    if not hasattr(self._suite.protocol, "comparisons"):
      return {}
    comparisons = self._suite.protocol.comparisons(self.records, self._dataset.metadata)
    return {
      name: chance.rates(comparison, self.records)
      for name, comparison in comparisons.items()
      if name in results and results[name].trials
    }

  def chance(self, results: Results) -> str | None:
    """Returns a notice if results are at chance level, else None; see `chance`."""
    if not hasattr(self._suite.protocol, "comparisons"):
      return None
    comparisons = self._suite.protocol.comparisons(self.records, self._dataset.metadata)
    return chance.notice(results, comparisons, self.records)

  def title(self, label: str) -> str:
    """Returns the title of the results; marks synthetic images."""
    synthetic = " (synthetic images)" if self._dataset.is_synthetic else ""
    split = config_lib.split_name(self.config, self.config.eval.split)
    title = f"{self._dataset.name}{synthetic}, {split}, {self.config.method.name}, {label}"
    return title + (f" (mismatch: {'; '.join(self.mismatch)})" if self.mismatch else "")

  def scalars(self, results: Results) -> dict[str, float]:
    """Returns 'eval/<data set>/<setting>/<metric>' -> mean over trials, in [0, 1]."""
    return {
      f"eval/{self._dataset.name}/{setting}/{metric}": value
      for setting, result in results.items()
      for metric, value in result.mean.items()
    }

  def record_name(self, trained: Mapping, step: int) -> str:
    """Returns the name of a record: its step, and how it differs from the run's own evaluation.

    Args:
      trained: Config of the training run, plain values.
      step: Step of the checkpoint.
    """
    config = config_lib.to_dict(self.config)
    own = config_lib.to_dict(evaluation_config.of_checkpoint(trained))
    other = "" if self._same_data else self._images.fingerprint()
    return evaluation_record.name(config, own, step, other_images=other)

  def record(self, results: Results, *, trained: Mapping, step: int, **facts) -> dict:
    """Returns the record of an evaluation: results and everything that they depend on, JSON.

    Args:
      results: Results by setting.
      trained: Config of the training run, plain values.
      step: Step of the checkpoint.
      **facts: Further entries.
    """
    config = config_lib.to_dict(self.config)
    own = config_lib.to_dict(evaluation_config.of_checkpoint(trained))
    return {
      "format": RECORD_FORMAT,
      **units.entry(units.RECORD),
      "name": self.record_name(trained, step),
      "title": self.title(f"step {step}"),
      "dataset": self._dataset.name,
      "split": config_lib.split_name(self.config, self.config.eval.split),
      "synthetic": self._dataset.is_synthetic,
      "method": self.config.method.name,
      "step": step,
      "seed": own["seed"],
      "trial": own["data"]["trial"],
      "differs": list(evaluation_record.differing(config, own).values()),
      "mismatch": list(self.mismatch),
      "results": {name: result.to_json() for name, result in results.items()},
      "chance": self.chance_rates(results),
      evaluation_record.IMAGES: self._images.fingerprint(),
      "config": config,
      "trained": trained,
      "versions": versions(),
      "device": jax.devices()[0].device_kind,
      "devices": jax.device_count(),
      **facts,
    }
