"""Evaluates a network under its data set's protocol: a table, a JSON file, scalars."""

import pathlib
import time
from collections.abc import Sequence

import jax
from ml_collections import ConfigDict

from vireid_jax.common import files, tree_paths
from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.types import Variables
from vireid_jax.common.workdir_files import EVALUATIONS
from vireid_jax.config.images import open_dataset
from vireid_jax.evaluators.results import format_table
from vireid_jax.experiment import evaluation_config, evaluation_record, notices
from vireid_jax.experiment.evaluation import Evaluation, Results
from vireid_jax.methods.base import Method
from vireid_jax.retrieval.trained import Stored, find_checkpoint
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training import first_state


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
  stored = find_checkpoint(workdir, step=step)
  evaluation, method = _make(stored, config, overrides)
  variables = stored.read(evaluation.mesh)
  if evaluation.mismatch:
    _check_fits(method, evaluation.config, variables)
  files.make_workdir(workdir / EVALUATIONS)  # before minutes of work, not after
  features = evaluation.embed(variables, progress=True)
  results = evaluation(variables, features=features, progress=True)
  facts = {"selection": stored.meta.get("best")}
  if evaluation.config.eval.verification:
    facts["verification"] = evaluation.verification(features)
  notice = evaluation.chance(results)
  if notice:
    notices.show("chance_level", notice)
    facts["notices"] = [notice]
  seconds = time.time() - started
  facts |= {"trained": stored.meta["config"], "seconds": seconds}
  report(evaluation, results, workdir, stored.step, **facts)
  return results


def _make(
  stored: Stored, config: ConfigDict | None, overrides: Sequence[str]
) -> tuple[Evaluation, Method]:
  """Builds the evaluation of a checkpoint, from what was kept with it and the command."""
  resolved = evaluation_config.resolve(stored.meta["config"], config, overrides)
  config = resolved.config
  if resolved.ignored:
    text = "; ".join(resolved.ignored)
    notices.show("training_settings", f"an evaluation reads no training settings; ignored: {text}")
  evaluation_config.validate(config)
  dataset, method = open_dataset(config), stored.create_method(config)
  mesh = mesh_lib.make_mesh()
  evaluation = Evaluation(config, dataset, method, mesh, mismatch=resolved.mismatch)
  evaluation.check_unseen(stored.meta)
  return evaluation, method


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
  where = printable(str(path)) if path else "the record of all trials stays as it is"
  print(f"{where}\n", flush=True)
  return path


def _check_fits(method: Method, config: ConfigDict, variables: Variables) -> None:
  """Refuses settings under which the network would have other variables than were stored."""
  wanted = first_state.abstract_variables(config.data.image_size, config.seed, method)
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
  return {name: leaf.shape for name, leaf in tree_paths.named_leaves(tree).items()}
