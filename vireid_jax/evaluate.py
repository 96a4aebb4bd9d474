"""Evaluates a network under its data set's protocol: a table, a JSON file, scalars."""

import pathlib
import time
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import (
  distributed,
  evaluation_config,
  evaluation_record,
  evaluators,
  first_state,
  methods,
  notices,
  storage,
  unseen,
)
from vireid_jax import mesh as mesh_lib
from vireid_jax.checkpoint import Checkpoints, versions
from vireid_jax.data import placement, rendered
from vireid_jax.data.corruptions import Corruption
from vireid_jax.data.schema import VISIBLE
from vireid_jax.data.source import Dataset
from vireid_jax.errors import UserError
from vireid_jax.evaluation_record import FOLDER
from vireid_jax.evaluators import chance, verification
from vireid_jax.evaluators import suite as suite_lib
from vireid_jax.evaluators.embed import Embedder, Features, feature_methods
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.evaluators.results import SettingResult, format_table
from vireid_jax.methods.base import Method, Variables

RECORD_FORMAT = 1

Results = dict[str, SettingResult]


class Evaluation:
  """A test set and its protocol, ready to be applied to any step's variables."""

  def __init__(
    self,
    config: ConfigDict,
    dataset: Dataset,
    method: Method,
    mesh,
    *,
    mismatch: Sequence[str] = (),
  ):
    """Reads the encoded test images and compiles nothing yet.

    Args:
      config: of the evaluation.
      dataset: that it names.
      method: of the network.
      mesh: the devices.
      mismatch: lines that say what the network sees otherwise than in training, if anything.

    Raises:
      UserError: for an unknown protocol, argument or part of the data set.
    """
    self._suite = make_suite(config)
    self._corruptions = make_corruptions(config)
    self._images = dataset.load(
      config_lib.part(config, config.eval.part), on_disk=config.data.placement == placement.STREAM
    )
    self._dataset, self._config = dataset, config
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

  def check_unseen(self, trained: Mapping, identities) -> None:
    """Refuses test images of people whom the network was trained on; see `unseen.check`.

    Args:
      trained: the config of the training, plain.
      identities: of the training, by their owner's numbers.
    """
    unseen.check(trained, identities, self._config, self._dataset, self.records)
    own = (trained["data"], identities, self._config.data, self._dataset)
    self._same_data = unseen.is_same(*own)

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

  def own_record(self, workdir: pathlib.Path, step: int) -> dict | None:
    """Returns the record of this evaluation of a step; None where there is no whole one."""
    config, images = config_lib.to_dict(self._config), self._images.fingerprint()
    return evaluation_record.own(workdir, config, step, images=images)

  def chance(self, results: Results) -> str | None:
    """Returns a sentence where results are no better than a random order's; see `chance`."""
    if not hasattr(self._suite.protocol, "listings"):
      return None
    listings = self._suite.protocol.listings(self.records, self._dataset.metadata)
    return chance.notice(results, listings, self.records)

  def title(self, label: str) -> str:
    """Names what was evaluated; says so when the images are synthetic."""
    synthetic = " (synthetic images)" if self._dataset.is_synthetic else ""
    part = config_lib.part(self._config, self._config.eval.part)
    title = f"{self._dataset.name}{synthetic}, {part}, {self._config.method.name}, {label}"
    return title + (f" (mismatch: {'; '.join(self.mismatch)})" if self.mismatch else "")

  def scalars(self, results: Results) -> dict[str, float]:
    """Returns 'eval/<data set>/<setting>/<metric>' -> mean over trials, in [0, 1]."""
    return {
      f"eval/{self._dataset.name}/{setting}/{metric}": value
      for setting, result in results.items()
      for metric, value in result.mean.items()
    }

  def record(self, results: Results, *, trained: Mapping, step: int, **facts) -> dict:
    """Returns what is kept of an evaluation: the results and whatever they depend on, JSON.

    Args:
      results: per setting.
      trained: the config of the training run, plain.
      step: of the checkpoint.
      **facts: whatever else is to be known.
    """
    config = config_lib.to_dict(self._config)
    own = config_lib.to_dict(evaluation_config.of_checkpoint(trained))
    other = "" if self._same_data else self._images.fingerprint()
    return {
      "format": RECORD_FORMAT,
      "name": evaluation_record.name(config, own, step, other_images=other),
      "title": self.title(f"step {step}"),
      "dataset": self._dataset.name,
      "part": config_lib.part(self._config, self._config.eval.part),
      "synthetic": self._dataset.is_synthetic,
      "method": self._config.method.name,
      "step": step,
      "seed": own["seed"],
      "split": own["data"]["split"],
      "differs": list(evaluation_record.differing(config, own).values()),
      "mismatch": list(self.mismatch),
      "results": {name: result.to_json() for name, result in results.items()},
      evaluation_record.IMAGES: self._images.fingerprint(),
      "config": config,
      "trained": trained,
      "versions": versions(),
      "device": jax.devices()[0].device_kind,
      "devices": jax.device_count(),
      **facts,
    }


def evaluate(
  config: ConfigDict | None,
  workdir: pathlib.Path,
  *,
  step: int | None = None,
  overrides: Sequence[str] = (),
) -> Results:
  """Restores a checkpoint and evaluates it.

  Args:
    config: chooses the test set and the `eval` options; None for the checkpoint's own. In what the
      network is or sees it must be the checkpoint's.
    workdir: holds the checkpoints.
    step: of the checkpoint; the latest when absent.
    overrides: such as '--config.eval.flip=True', applied to the checkpoint's config.

  Returns:
    A result per setting; also printed, and written to `workdir/eval/step_<step>.json` or a name
    that says how it differs from the run's own evaluation.

  Raises:
    UserError: no such checkpoint; a config that is not the checkpoint's in what the network sees;
      people whom the network was trained on; or a workdir that cannot be written.
  """
  started = time.time()
  checkpoints, step = open_checkpoints(workdir, step)
  meta = checkpoints.meta(step)
  resolved = evaluation_config.resolve(meta["config"], config, overrides)
  config = resolved.config
  _show_ignored(resolved.ignored)
  evaluation_config.validate(config)
  distributed.in_turn(lambda: rendered.ensure(config.data))
  dataset = Dataset(config.data.name, rendered.data_dir(config.data))
  method = methods.create(
    config.method, num_classes=len(meta["identities"]), steps_per_epoch=meta["steps_per_epoch"]
  )
  mesh = mesh_lib.make_mesh()
  evaluation = Evaluation(config, dataset, method, mesh, mismatch=resolved.mismatch)
  evaluation.check_unseen(meta["config"], meta["identities"])
  variables = checkpoints.restore_variables(step, mesh_lib.replicated(mesh))
  if resolved.mismatch:
    _check_fits(method, config, variables)
  storage.make_workdir(workdir / FOLDER)  # before minutes of work, not after
  features = evaluation.embed(variables, progress=True)
  results = evaluation(variables, features=features, progress=True)
  facts = {"selection": meta.get("best")}
  if config.eval.verification:
    facts["verification"] = evaluation.verification(features)
  notice = evaluation.chance(results) if step else None
  if notice:
    notices.show("chance_level", notice)
    facts["notices"] = [notice]
  seconds = time.time() - started
  report(evaluation, results, workdir, step, trained=meta["config"], seconds=seconds, **facts)
  return results


def report(
  evaluation: Evaluation, results: Results, workdir, step: int, *, trained, seconds: float, **facts
) -> pathlib.Path | None:
  """Prints the table of a step and then writes its record, on the first process.

  Args:
    evaluation: made the results.
    results: per setting.
    workdir: of the run.
    step: of the checkpoint.
    trained: the config of the training run, plain.
    seconds: wall time of the evaluation.
    **facts: whatever else is to be known of the results; 'quick' for a look at trial 0 alone.

  Returns:
    The record's file; None off the first process, and where nothing was written.
  """
  if jax.process_index():
    return None
  facts["seconds"] = round(seconds, 2)
  record = evaluation.record(results, trained=trained, step=step, **facts)
  print(f"\n{format_table(results, record['title'])}", flush=True)
  path = evaluation_record.write(workdir, record)
  print(f"{path or 'the record of all trials stays as it is'}\n", flush=True)
  return path


def read_back(
  evaluation: Evaluation, workdir: pathlib.Path, step: int, *, quick: bool = False
) -> Results | None:
  """Prints a run's own evaluation of a step again, as it was printed then.

  Args:
    evaluation: of the run, with its config as it is now.
    workdir: of the run.
    step: of the checkpoint.
    quick: whether a look at trial 0 alone will do.

  Returns:
    The results; None where the record is not there, is damaged or holds other conditions or images,
    and where it is a quick look and the whole is wanted. Nothing is printed then.
  """
  record = evaluation.own_record(workdir, step)
  if record is None or (record.get("quick") and not quick):
    return None
  results = {key: SettingResult.from_json(kept) for key, kept in record["results"].items()}
  if jax.process_index() == 0:
    path = workdir / FOLDER / f"{record['name']}.json"
    print(f"\n{format_table(results, record['title'])}\n{path}\n", flush=True)
  return results


def open_checkpoints(workdir: pathlib.Path, step: int | None) -> tuple[Checkpoints, int]:
  """Returns a workdir's checkpoints and the step that is meant, the latest where none is named.

  Raises:
    UserError: none there, or none of this step.
  """
  if not (workdir / "checkpoints").is_dir():
    raise UserError(
      f"{workdir} holds no checkpoints; train first with --mode=train, or name the right --workdir"
    )
  checkpoints = Checkpoints(workdir, keep=None)
  return checkpoints, choose_step(checkpoints, workdir, step)


def _show_ignored(lines: Sequence[str]) -> None:
  if lines:
    text = "; ".join(lines)
    notices.show("training_settings", f"an evaluation reads no training settings; ignored: {text}")


def _check_fits(method: Method, config: ConfigDict, variables: Variables) -> None:
  """Refuses settings under which the network would have other variables than were stored."""
  wanted = first_state.abstract_variables(config, method)
  shapes = [_shapes(tree) for tree in (variables, wanted)]
  names = [name for name in shapes[0] | shapes[1] if shapes[0].get(name) != shapes[1].get(name)]
  if names:
    first = f"{names[0]}: {shapes[0].get(names[0])} -> {shapes[1].get(names[0])}"
    raise UserError(
      f"the checkpoint does not fit the network of these settings: {len(names)} of "
      f"{len(shapes[0])} variables differ, the first {first}. Leave the settings of config.method "
      "and config.data.image_size to the checkpoint"
    )


def _shapes(tree) -> dict[str, tuple]:
  leaves = jax.tree.leaves_with_path(tree)
  return {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}


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
