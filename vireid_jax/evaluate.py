"""Evaluates a network under its data set's protocol: a table, a JSON file, scalars."""

import json
import pathlib
import time

import jax
import numpy as np
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import distributed, evaluators, methods, storage
from vireid_jax import mesh as mesh_lib
from vireid_jax.checkpoint import Checkpoints, versions
from vireid_jax.data import placement, rendered
from vireid_jax.data.corruptions import Corruption
from vireid_jax.data.schema import VISIBLE
from vireid_jax.data.source import Dataset
from vireid_jax.errors import UserError
from vireid_jax.evaluators import suite as suite_lib
from vireid_jax.evaluators import verification
from vireid_jax.evaluators.embed import Embedder, Features, feature_methods
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.evaluators.results import SettingResult, format_table
from vireid_jax.methods.base import Method, Variables

FOLDER = "eval"
RECORD_FORMAT = 1

Results = dict[str, SettingResult]


class Evaluation:
  """A test set and its protocol, ready to be applied to any step's variables."""

  def __init__(self, config: ConfigDict, dataset: Dataset, method: Method, mesh):
    """Reads the encoded test images and compiles nothing yet.

    Raises:
      UserError: for an unknown protocol, argument or part of the data set.
    """
    self._suite = make_suite(config)
    self._corruptions = make_corruptions(config)
    self._images = dataset.load(
      config_lib.part(config, config.eval.part), on_disk=config.data.placement == placement.STREAM
    )
    self._dataset, self._config = dataset, config
    self._embedder = Embedder(
      feature_methods(method, config.eval.features),
      mesh,
      size=tuple(config.data.image_size),
      resize=config.data.resize,
      operations=config.augment,
      batch=config.eval.batch,
      flip=config.eval.flip,
    )

  def __call__(
    self,
    variables: Variables,
    *,
    features: Features | None = None,
    quick: bool = False,
    progress: bool = False,
  ) -> Results:
    """Embeds every test image once and runs the protocol.

    Args:
      variables: of the method.
      features: what `embed` returned for them, where it was called before.
      quick: trial 0 of the plain setting alone, whatever else the config asks for.
      progress: show a bar.
    """
    features = features or self.embed(variables, progress=progress)
    if quick:
      return self._suite.quick().evaluate(features, self.records, self._dataset.metadata)
    results = self._suite.evaluate(features, self.records, self._dataset.metadata)
    return results | self._corrupted(variables, features, progress)

  @property
  def records(self):
    """What is known of the test images."""
    return self._images.records

  def embed(self, variables: Variables, *, progress: bool = False) -> Features:
    """Returns the features of every test image, by name, float32 [n, d]."""
    return self._embedder(variables, self._images, progress=progress)

  def verification(self, features: Features) -> dict[str, dict]:
    """Returns ROC, TAR at FAR and distances of each feature."""
    normalize = self._config.eval.normalize
    return {
      name: verification.evaluate(matrix, self.records, normalize=normalize)
      for name, matrix in features.items()
    }

  def _corrupted(self, variables: Variables, features: Features, progress: bool) -> Results:
    """Evaluates every corrupted copy; infrared images stay as they are, and their features too."""
    if not self._corruptions:
      return {}
    rows = np.flatnonzero(self.records.modality == VISIBLE)
    visible = self._images.take(rows)
    draws = []
    for corruption in self._corruptions:
      changed = self._embedder(variables, visible, change=corruption, progress=progress)
      replaced = suite_lib.with_visible(features, changed, self.records)
      draws.append(self._suite.evaluate(replaced, self.records, self._dataset.metadata))
    return suite_lib.join_draws(draws, config_lib.to_dict(self._config)["eval"]["corruption"])

  @property
  def config(self) -> ConfigDict:
    """The config of the evaluation."""
    return self._config

  def title(self, label: str) -> str:
    """Names what was evaluated; says so when the images are synthetic."""
    synthetic = " (synthetic images)" if self._dataset.is_synthetic else ""
    part = config_lib.part(self._config, self._config.eval.part)
    return f"{self._dataset.name}{synthetic}, {part}, {self._config.method.name}, {label}"

  def scalars(self, results: Results) -> dict[str, float]:
    """Returns 'eval/<data set>/<setting>/<metric>' -> mean over trials, in [0, 1]."""
    return {
      f"eval/{self._dataset.name}/{setting}/{metric}": value
      for setting, result in results.items()
      for metric, value in result.mean.items()
    }

  def save(self, results: Results, path: pathlib.Path, **facts) -> None:
    """Writes results as JSON, with the config and whatever else is to be known of them."""
    record = {
      "format": RECORD_FORMAT,
      "dataset": self._dataset.name,
      "part": config_lib.part(self._config, self._config.eval.part),
      "synthetic": self._dataset.is_synthetic,
      "method": self._config.method.name,
      "results": {name: result.to_json() for name, result in results.items()},
      "config": config_lib.to_dict(self._config),
      "versions": versions(),
      "device": jax.devices()[0].device_kind,
      "devices": jax.device_count(),
      **facts,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    storage.write_text(path, json.dumps(record, indent=2) + "\n")


def evaluate(config: ConfigDict, workdir: pathlib.Path, *, step: int | None = None) -> Results:
  """Restores a checkpoint and evaluates it.

  Args:
    config: its method must be the checkpoint's; data set and evaluation may differ.
    workdir: holds the checkpoints.
    step: of the checkpoint; the latest when absent.

  Returns:
    A result per setting; also printed, and written to `workdir/eval/step_<step>.json`.

  Raises:
    UserError: no such checkpoint, or one of another method.
  """
  started = time.time()
  config_lib.validate(config)
  if not (workdir / "checkpoints").is_dir():
    raise UserError(
      f"{workdir} holds no checkpoints; train first with --mode=train, or name the right --workdir"
    )
  checkpoints = Checkpoints(workdir, keep=None)
  step = choose_step(checkpoints, workdir, step)
  meta = checkpoints.meta(step)
  check_same_method(meta["config"], config)
  distributed.in_turn(lambda: rendered.ensure(config.data))
  dataset = Dataset(config.data.name, rendered.data_dir(config.data))
  method = methods.create(
    config.method, num_classes=len(meta["identities"]), steps_per_epoch=meta["steps_per_epoch"]
  )
  mesh = mesh_lib.make_mesh()
  evaluation = Evaluation(config, dataset, method, mesh)
  variables = checkpoints.restore_variables(step, mesh_lib.replicated(mesh))
  features = evaluation.embed(variables, progress=True)
  results = evaluation(variables, features=features, progress=True)
  facts = {"selection": meta.get("best")}
  if config.eval.verification:
    facts["verification"] = evaluation.verification(features)
  seconds = time.time() - started
  report(evaluation, results, workdir, step, trained=meta["config"], seconds=seconds, **facts)
  return results


def report(
  evaluation: Evaluation, results: Results, workdir, step: int, *, trained, seconds: float, **facts
) -> None:
  """Prints the table and writes the JSON record of a step, on the first process.

  Args:
    evaluation: made the results.
    results: per setting.
    workdir: of the run.
    step: of the checkpoint.
    trained: the config of the training run, plain.
    seconds: wall time of the evaluation.
    **facts: whatever else is to be known of the results.
  """
  if jax.process_index():
    return
  path = workdir / FOLDER / f"{record_name(evaluation.config, step)}.json"
  facts = {"step": step, "seed": trained["seed"], "split": trained["data"]["split"], **facts}
  evaluation.save(results, path, trained=trained, seconds=round(seconds, 2), **facts)
  print(f"\n{format_table(results, evaluation.title(f'step {step}'))}\n{path}\n", flush=True)


def record_name(config: ConfigDict, step: int) -> str:
  """Names a record by step and by whatever in `config.eval` sets it apart from the plain one."""
  options, words = config.eval, []
  part = config_lib.part(config, options.part)
  words += [] if part.startswith("test") else [part]
  words += list(options.features)
  words += [word for word in ("flip", "rerank", "mixed") if options[word]]
  words += [] if options.normalize else ["not_normalized"]
  words += ["corrupted"] if options.corruption.draws else []
  return ".".join((f"step_{step:07d}", *words))


def make_suite(config: ConfigDict) -> suite_lib.Suite:
  """Builds what `config.eval` asks to compute from features.

  Raises:
    UserError: an unknown protocol, or an argument out of range.
  """
  protocol = config.eval.protocol.to_dict()
  if protocol["name"] == "mixed" and (config.eval.rerank or config.eval.mixed):
    raise UserError(
      "config.eval.protocol.name = 'mixed' has no re-ranked results and is no addition to itself; "
      "set config.eval.rerank and config.eval.mixed to False"
    )
  return suite_lib.Suite(
    evaluators.create(protocol.pop("name"), **protocol),
    normalize=config.eval.normalize,
    flip=config.eval.flip,
    rerank=Reranking(**config.eval.rerank_options) if config.eval.rerank else None,
    mixed=config.eval.mixed,
  )


def make_corruptions(config: ConfigDict) -> list[Corruption]:
  """Builds the corrupted copies that `config.eval` asks for; the i-th has seed `seed` + i."""
  options = config.eval.corruption
  return [
    Corruption(tuple(options.kinds), tuple(options.severities), options.seed + draw)
    for draw in range(options.draws)
  ]


def check_same_method(stored: dict, config: ConfigDict) -> None:
  """Raises UserError when a checkpoint's method settings differ from the config's."""
  old, new = stored["method"], config_lib.to_dict(config)["method"]
  lines = config_lib.differences({"method": old}, {"method": new})
  if lines:
    raise UserError(
      "the checkpoint was trained with other method settings (checkpoint -> command):\n  "
      + "\n  ".join(lines)
    )


def choose_step(checkpoints: Checkpoints, workdir: pathlib.Path, step: int | None) -> int:
  """Returns a step that is there, the latest where none is named; raises UserError else."""
  steps = checkpoints.steps()
  if not steps:
    raise UserError(f"{workdir} holds no complete checkpoint; train first with --mode=train")
  if step is None:
    return steps[-1]
  if step not in steps:
    raise UserError(f"{workdir} has no checkpoint of step {step}; there are {steps}")
  return step
