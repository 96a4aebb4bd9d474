"""Trains and evaluates all splits of a data set that has several, such as RegDB."""

import copy
import pathlib
from collections.abc import Sequence

import jax
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import report
from vireid_jax.common import hints
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import evaluate, finished, train

SPLITS = tuple(range(1, 11))


def train_splits(config: ConfigDict, workdir: pathlib.Path, splits=SPLITS) -> str:
  """Trains and evaluates the splits that are not finished.

  Args:
    config: Config with '{trial}' in `data.train_splits`; its `data.trial` is set for each split.
    workdir: Folder for a workdir per split.
    splits: Numbers of the splits, from 1.

  Returns:
    The tables over all splits.

  Raises:
    UserError: The data set does not have several splits, or a folder has a run of another config.
    train.Preempted: A signal stopped a run; the same call continues.
  """
  check_has_splits(config)
  for split in splits:
    config_of_split = copy.deepcopy(config)
    config_of_split.data.trial = split
    _train_unless_finished(config_of_split, split_folder(workdir, split))
  return report.render([str(split_folder(workdir, "*"))])


def evaluate_splits(
  config: ConfigDict | None,
  workdir: pathlib.Path,
  splits: Sequence[int] = (),
  *,
  step: int | None = None,
  overrides: Sequence[str] = (),
) -> str:
  """Evaluates the checkpoints of some splits again.

  Args:
    config: Config as for `train_splits`; None for each checkpoint's config.
    workdir: Folder with a workdir per split.
    splits: Numbers of the splits, from 1; empty for all that exist.
    step: Step of the checkpoints; the latest of each if None.
    overrides: Overrides '--config.key=value', if no config is given.

  Returns:
    The tables over all splits.

  Raises:
    UserError: A split has no checkpoint, or one that the config does not fit.
  """
  if config is not None:
    check_has_splits(config)
  there = [split for split in SPLITS if split_folder(workdir, split).is_dir()]
  splits = splits or there
  missing = [split for split in splits or SPLITS if split not in there]
  if missing:
    raise UserError(
      f"{workdir} has no {split_folder(workdir, missing[0]).name}; train it first. There are: "
      + (", ".join(map(str, there)) or "none")
    )
  for split in splits:
    config_of_split = copy.deepcopy(config)
    if config_of_split is not None:
      config_of_split.data.trial = split
    evaluate.evaluate(config_of_split, split_folder(workdir, split), step=step, overrides=overrides)
    jax.clear_caches()
  return report.render([str(split_folder(workdir, "*"))], step=step)


def split_folder(workdir: pathlib.Path, split: int | str) -> pathlib.Path:
  """Returns the workdir of a split; '*' returns a glob of all."""
  return workdir / f"split_{split if isinstance(split, str) else f'{split:02d}'}"


def check_has_splits(config: ConfigDict) -> None:
  """Raises UserError unless the config's training splits depend on `data.trial`."""
  if not any("{trial}" in name for name in config.data.train_splits):
    raise UserError(
      f"{config.data.name} trains on {tuple(config.data.train_splits)}, the same for every split; "
      f"use {hints.command('train')}"
    )


def _train_unless_finished(config: ConfigDict, workdir: pathlib.Path) -> None:
  wanted = config_lib.to_dict(config)
  if finished.is_finished(workdir, wanted):
    return
  # With a changed config, such as a longer duration, the run continues or is evaluated again.
  train.train(config, workdir)
  if jax.process_index() == 0:
    finished.mark(workdir, wanted)
  jax.clear_caches()  # each split compiles its own step; ten would stay in memory


def parse_splits(given: list[str] | None) -> tuple[int, ...]:
  """Returns the numbers in --splits, in order; empty without the flag."""
  for text in given or ():
    if not text.isdecimal() or int(text) not in SPLITS:
      raise UserError(f"--splits holds {text!r}; choose from {SPLITS[0]} to {SPLITS[-1]}")
  return tuple(dict.fromkeys(int(text) for text in given or ()))
