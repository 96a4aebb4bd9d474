"""Evaluates a network under its data set's protocol: a table, a JSON file, scalars."""

import json
import pathlib
import time

import jax
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import evaluators, methods
from vireid_jax import mesh as mesh_lib
from vireid_jax.checkpoint import Checkpoints, versions
from vireid_jax.data import rendered
from vireid_jax.data.source import Dataset
from vireid_jax.errors import UserError
from vireid_jax.evaluators.embed import Embedder
from vireid_jax.evaluators.results import SettingResult, format_table
from vireid_jax.methods.base import Method, Variables

FOLDER = "eval"

Results = dict[str, SettingResult]


class Evaluation:
  """A test set and its protocol, ready to be applied to any step's variables."""

  def __init__(self, config: ConfigDict, dataset: Dataset, method: Method, mesh):
    """Reads the encoded test images and compiles nothing yet.

    Raises:
      UserError: for an unknown protocol, argument or part of the data set.
    """
    protocol = config.eval.protocol.to_dict()
    self._protocol = evaluators.create(protocol.pop("name"), **protocol)
    self._images = dataset.load(config_lib.part(config, config.eval.part))
    self._dataset, self._config = dataset, config
    self._embedder = Embedder(
      method,
      mesh,
      size=tuple(config.data.image_size),
      resize=config.data.resize,
      operations=config.augment,
      batch=config.eval.batch,
    )

  def __call__(self, variables: Variables, *, progress: bool = False) -> Results:
    """Embeds every test image once and runs the protocol."""
    features = self._embedder(variables, self._images, progress=progress)
    return self._protocol.evaluate(
      features, self._images.records, self._dataset.metadata, normalize=self._config.eval.normalize
    )

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
      "dataset": self._dataset.name,
      "synthetic": self._dataset.is_synthetic,
      "results": {name: result.to_json() for name, result in results.items()},
      "config": config_lib.to_dict(self._config),
      "versions": versions(),
      "device": jax.devices()[0].device_kind,
      **facts,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")


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
  step = _choose_step(checkpoints, workdir, step)
  meta = checkpoints.meta(step)
  check_same_method(meta["config"], config)
  rendered.ensure(config.data)
  dataset = Dataset(config.data.name, rendered.data_dir(config.data))
  method = methods.create(
    config.method, num_classes=len(meta["identities"]), steps_per_epoch=meta["steps_per_epoch"]
  )
  mesh = mesh_lib.make_mesh()
  evaluation = Evaluation(config, dataset, method, mesh)
  variables = checkpoints.restore_variables(step, mesh_lib.replicated(mesh))
  results = evaluation(variables, progress=True)
  report(evaluation, results, workdir, step, seconds=time.time() - started)
  return results


def report(evaluation: Evaluation, results: Results, workdir, step: int, *, seconds: float) -> None:
  """Prints the table and writes the JSON file of a step, on the first process."""
  if jax.process_index():
    return
  path = workdir / FOLDER / f"step_{step:07d}.json"
  evaluation.save(results, path, step=step, seconds=round(seconds, 1))
  print(f"\n{format_table(results, evaluation.title(f'step {step}'))}\n{path}\n", flush=True)


def check_same_method(stored: dict, config: ConfigDict) -> None:
  """Raises UserError when a checkpoint's method settings differ from the config's."""
  old, new = stored["method"], config_lib.to_dict(config)["method"]
  lines = config_lib.differences({"method": old}, {"method": new})
  if lines:
    raise UserError(
      "the checkpoint was trained with other method settings (checkpoint -> command):\n  "
      + "\n  ".join(lines)
    )


def _choose_step(checkpoints: Checkpoints, workdir: pathlib.Path, step: int | None) -> int:
  steps = checkpoints.steps()
  if not steps:
    raise UserError(f"{workdir} holds no complete checkpoint; train first with --mode=train")
  if step is None:
    return steps[-1]
  if step not in steps:
    raise UserError(f"{workdir} has no checkpoint of step {step}; there are {steps}")
  return step
