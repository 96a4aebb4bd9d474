"""Evaluates a checkpoint under its data set's protocol; prints a table and writes a record."""

import pathlib
import sys
import time
from collections.abc import Mapping, Sequence

import jax
from ml_collections import ConfigDict

from vireid_jax.common import files, progress, terminal, tree_paths
from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.types import Variables
from vireid_jax.common.workdir_files import EVALUATIONS
from vireid_jax.config.images import open_dataset
from vireid_jax.evaluators.embed import Features
from vireid_jax.evaluators.headline import headline
from vireid_jax.evaluators.results import format_table
from vireid_jax.experiment import evaluation_config, evaluation_record, notices
from vireid_jax.experiment.evaluation import Evaluation, Results
from vireid_jax.methods.base import Method
from vireid_jax.retrieval.trained import Stored, find_checkpoint
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training import first_state, hooks


def evaluate(
  config: ConfigDict | None,
  workdir: pathlib.Path,
  *,
  step: int | None = None,
  overrides: Sequence[str] = (),
  verbose: bool = False,
) -> Results:
  """Restores a checkpoint and evaluates it.

  Args:
    config: Config with the test set and `eval` options; None for the checkpoint's. Settings of the
      network and its inputs must equal the checkpoint's.
    workdir: Folder with the checkpoints.
    step: Step of the checkpoint; the latest if None.
    overrides: Overrides of the checkpoint's config, such as '--config.eval.flip=True'.
    verbose: Whether to print every metric.

  Returns:
    The results by setting. They are also printed, and written to `workdir/eval/step_<step>.json`,
    or to a name that says how the evaluation differs from the run's.

  Raises:
    UserError: There is no such checkpoint, the network's inputs would differ from those in
      training, test identities were trained on, or the workdir cannot be written.
  """
  with progress.show("evaluate"):
    return _evaluate(config, workdir, step, overrides, verbose)


def _evaluate(config, workdir: pathlib.Path, step: int | None, overrides, verbose) -> Results:
  started = time.time()
  stored = find_checkpoint(workdir, step=step)
  with progress.part("reading data"):
    evaluation, method = _make(stored, config, overrides)
  with progress.part("restoring"):
    variables = stored.read(evaluation.mesh)
  if evaluation.mismatch:
    _check_fits(method, evaluation.config, variables)
  files.make_workdir(workdir / EVALUATIONS)  # fails before minutes of work
  with _hooks(evaluation.config.log, workdir) as opened:
    features, results = _run(evaluation, variables, stored, workdir, started, verbose)
    _send(evaluation, features, stored, opened)
  return results


def _run(
  evaluation: Evaluation,
  variables: Variables,
  stored: Stored,
  workdir: pathlib.Path,
  started: float,
  verbose: bool,
) -> tuple[Features, Results]:
  features = evaluation.embed(variables)
  results = evaluation(variables, features=features)
  facts = {"selection": stored.meta.get("best")}
  if evaluation.config.eval.verification:
    with progress.part("verifying"):
      facts["verification"] = evaluation.verification(features)
  notice = evaluation.chance(results)
  if notice:
    notices.show("chance_level", notice)
    facts["notices"] = [notice]
  seconds = time.time() - started
  facts |= {"trained": stored.meta["config"], "seconds": seconds}
  report(evaluation, results, workdir, stored.step, verbose=verbose, **facts)
  return features, results


def _hooks(log: ConfigDict, workdir: pathlib.Path):
  """Opens the hooks of `config.log` on the first process."""
  wanted = {name: bool(log.get(name)) for name in hooks.HOOKS} if not jax.process_index() else {}
  return hooks.opened(workdir, **wanted)


def _send(
  evaluation: Evaluation, features: Features, stored: Stored, opened: Sequence[hooks.Hook]
) -> None:
  """Sends ranked lists to hooks, under the names of the training where it evaluated like this."""
  if not opened:
    return
  words = evaluation.record_name(stored.meta["config"], stored.step).partition(".")[2]
  pictures = evaluation.ranked_lists(features)
  for hook in opened:
    hook.pictures(
      stored.step, {f"{name}/{words}".strip("/"): each for name, each in pictures.items()}
    )


def _make(
  stored: Stored, config: ConfigDict | None, overrides: Sequence[str]
) -> tuple[Evaluation, Method]:
  """Builds the evaluation of a checkpoint from its config and the command's."""
  resolved = evaluation_config.resolve(stored.meta["config"], config, overrides)
  config = resolved.config
  if resolved.ignored:
    text = "; ".join(resolved.ignored)
    notices.show(
      "training_settings", f"an evaluation does not use training settings; ignored: {text}"
    )
  evaluation_config.validate(config)
  dataset, method = open_dataset(config), stored.create_method(config)
  mesh = mesh_lib.make_mesh()
  evaluation = Evaluation(config, dataset, method, mesh, mismatch=resolved.mismatch)
  evaluation.check_unseen(stored.meta)
  return evaluation, method


def report(
  evaluation: Evaluation,
  results: Results,
  workdir: pathlib.Path,
  step: int,
  *,
  trained,
  seconds: float,
  verbose: bool,
  **facts,
) -> pathlib.Path | None:
  """Prints the results of a step and writes their record, on the first process.

  Args:
    evaluation: Evaluation that computed the results.
    results: Results by setting.
    workdir: Folder of the run.
    step: Step of the checkpoint.
    trained: Config of the training run, plain values.
    seconds: Wall time of the evaluation.
    verbose: Whether to print every metric.
    **facts: Further entries of the record; 'quick' for an evaluation of trial 0 only.

  Returns:
    The record's file; None on other processes, and if nothing was written.
  """
  if jax.process_index():
    return None
  facts["seconds"] = round(seconds, 2)
  record = evaluation.record(results, trained=trained, step=step, **facts)
  print(f"\n{text_of(results, record, workdir, verbose=verbose)}", flush=True)
  path = evaluation_record.write(workdir, record)
  where = printable(str(path)) if path else "the record of all trials is kept"
  print(f"{where}\n", flush=True)
  return path


def text_of(
  results: Results, record: Mapping, workdir: pathlib.Path, *, verbose: bool = False
) -> str:
  """Returns an evaluation's results for a person: one line, then a table.

  Args:
    results: Results by setting.
    record: Record of the evaluation.
    workdir: Folder of the run, which may have a record of the untrained network.
    verbose: Whether to show every metric.
  """
  untrained = evaluation_record.rates_before(workdir, record) if record["step"] else {}
  width = terminal.table_width(sys.stdout)
  table = format_table(results, record["title"], verbose=verbose, width=width)
  otherwise = " (mismatch: not the settings of the training)" if record["mismatch"] else ""
  return f"{headline(results, untrained)}{otherwise}\n\n{table}"


def _check_fits(method: Method, config: ConfigDict, variables: Variables) -> None:
  """Raises UserError if the network of these settings does not have the stored variables."""
  wanted = first_state.abstract_variables(config.data.image_size, config.seed, method)
  shapes = [_shapes(tree) for tree in (variables, wanted)]
  names = [name for name in shapes[0] | shapes[1] if shapes[0].get(name) != shapes[1].get(name)]
  if names:
    first = f"{names[0]}: {shapes[0].get(names[0])} -> {shapes[1].get(names[0])}"
    raise UserError(
      f"the checkpoint does not fit the network of these settings: {len(names)} of "
      f"{len(shapes[0])} variables differ, the first {first}. Do not override config.method and "
      "config.data.image_size"
    )


def _shapes(tree) -> dict[str, tuple]:
  return {name: leaf.shape for name, leaf in tree_paths.named_leaves(tree).items()}
