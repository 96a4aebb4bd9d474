"""Trains and evaluates all splits of a data set that has several, such as RegDB, and averages.

python -m vireid_jax.splits --config configs/agw_regdb.py --workdir runs/agw_regdb

The run of each split is in a folder of the workdir, `split_01` and so on. The same command
continues after a stop: it skips finished splits and resumes an unfinished one from its checkpoint.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

from absl import flags

from vireid_jax.cli import config_flag, modes, run_flags
from vireid_jax.common import hints
from vireid_jax.common.errors import UserError
from vireid_jax.experiment.splits import SPLITS, evaluate_splits, parse_splits, train_splits

_SPLITS = flags.DEFINE_list("splits", None, "Splits to run, for example 1,2,3; default all ten.")


def _refuse_what_is_unused(given: flags.FlagValues) -> None:
  if given.mode == "report" or given.html is not None:
    raise UserError(
      f"{hints.command('report', '--workdir', 'DIR')} makes reports, also of the folder of all "
      "splits; here --mode is train or evaluate"
    )
  if given.step is not None and given.mode != "evaluate":
    raise UserError(f"--step={given.step} is for --mode=evaluate; --mode is {given.mode}")


def main(argv: list[str]) -> int:
  """Runs the command line; returns the exit code."""
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  splits = parse_splits(_SPLITS.value)
  _refuse_what_is_unused(flags.FLAGS)
  evaluates = flags.FLAGS.mode == "evaluate"
  config = None if evaluates and not config_flag.given() else run_flags.read_config()
  if config is None:
    run_flags.require("workdir")
  workdir = run_flags.workdir("-splits")
  run_flags.prepare_devices()
  if evaluates:
    step, overrides = flags.FLAGS.step, config_flag.deferred_overrides()
    print(evaluate_splits(config, workdir, splits, step=step, overrides=overrides))
    return 0
  return modes.until_stopped(lambda: print(train_splits(config, workdir, splits or SPLITS)))


if __name__ == "__main__":
  run_flags.run(main, unused=("all", "format", "html", "verbose"))
