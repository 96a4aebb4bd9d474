"""Trains and evaluates every split of a data set that has several, and averages.

python -m vireid_jax.splits --config configs/agw_regdb.py --workdir runs/agw_regdb

Each split has a workdir of its own, `split_01` ... in the given one. The same command continues
where it was stopped: finished splits are skipped, an unfinished one goes on from its checkpoint.
"""

import copy
import json
import pathlib
import sys

from vireid_jax import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import jax
from absl import flags
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import main as main_lib
from vireid_jax import report, train
from vireid_jax.errors import UserError

SPLITS = tuple(range(1, 11))
FINISHED = "finished.json"

_SPLITS = flags.DEFINE_list("splits", None, "Which splits, for example 1,2,3; all ten when absent.")


def train_splits(config: ConfigDict, workdir: pathlib.Path, splits=SPLITS) -> str:
  """Trains and evaluates the splits that are not finished yet.

  Args:
    config: its `data.train` has '{split}' in a part's name; `data.split` is set here.
    workdir: receives a folder per split.
    splits: which ones, from 1.

  Returns:
    The tables over all given splits.

  Raises:
    UserError: the data set has no splits, or a folder holds a run of another config.
    train.Preempted: when a signal asked to stop; the same call continues.
  """
  check_has_splits(config)
  for split in splits:
    config_of_split = copy.deepcopy(config)
    config_of_split.data.split = split
    _train_unless_finished(config_of_split, split_folder(workdir, split))
  return report.render([str(split_folder(workdir, "*"))])


def split_folder(workdir: pathlib.Path, split: int | str) -> pathlib.Path:
  """Returns the workdir of a split; '*' gives the glob of all."""
  return workdir / f"split_{split if isinstance(split, str) else f'{split:02d}'}"


def check_has_splits(config: ConfigDict) -> None:
  """Raises UserError unless the config's training part depends on `data.split`."""
  if not any("{split}" in part for part in config.data.train):
    raise UserError(
      f"{config.data.name} trains on {tuple(config.data.train)}, the same for every split; "
      "use python -m vireid_jax.main"
    )


def _train_unless_finished(config: ConfigDict, workdir: pathlib.Path) -> None:
  mark, wanted = workdir / FINISHED, config_lib.to_dict(config)
  if mark.exists() and json.loads(mark.read_text()) == wanted:
    print(f"{workdir} is finished", flush=True)
    return
  # Another config of the same network goes on (a longer run) or is evaluated anew.
  train.train(config, workdir)
  if jax.process_index() == 0:
    mark.write_text(json.dumps(wanted, indent=2, sort_keys=True) + "\n")
  jax.clear_caches()  # each split compiles its own step; ten would stay in memory


def _numbers(given: list[str] | None) -> tuple[int, ...]:
  for text in given or ():
    if not text.isdecimal() or int(text) not in SPLITS:
      raise UserError(f"--splits holds {text!r}; choose from {SPLITS[0]} to {SPLITS[-1]}")
  return tuple(int(text) for text in given) if given else SPLITS


def main(argv: list[str]) -> int:
  """Runs the command line; returns the exit code."""
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  splits = _numbers(_SPLITS.value)
  config, workdir = main_lib.read_config(), main_lib.workdir("-splits")
  main_lib.prepare_devices()
  try:
    print(train_splits(config, workdir, splits))
  except train.Preempted as event:
    print(f"{event}. The same command continues.", file=sys.stderr)
    return interrupts.EXIT_STOPPED
  return 0


if __name__ == "__main__":
  main_lib.run(main)
