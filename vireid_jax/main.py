"""Trains, evaluates or reports: python -m vireid_jax.main --config configs/agw_sysu.py."""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

from absl import flags

from vireid_jax.cli import config_flag, modes, run_flags
from vireid_jax.common import files
from vireid_jax.common.errors import UserError

_PRINT_CONFIG = flags.DEFINE_bool(
  "print_config", False, "Print the whole config instead of training."
)


def main(argv: list[str]) -> int:
  """Dispatches on --mode; returns the exit code."""
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  if _PRINT_CONFIG.value and run_flags.MODE.value != "train":
    raise UserError(f"--print_config is for --mode=train; --mode is {run_flags.MODE.value}")
  if run_flags.MODE.value == "report":
    if run_flags.VERBOSE.value:
      raise UserError("--verbose is for --mode=train and evaluate; --mode is report")
    if config_flag.deferred_overrides():
      raise UserError(
        f"{config_flag.deferred_overrides()[0]}: a report reads no config; leave it out"
      )
    given = run_flags.WORKDIR.value
    items = [str(run_flags.workdir())] if given is None else given.split(",")
    for item in items:
      files.folder_named(item, "--workdir")
    if run_flags.HTML.value in (None, "false"):
      modes.print_report(items)
    else:
      modes.write_page(items, run_flags.HTML.value)
    return 0
  if run_flags.FORMAT.value is not None or run_flags.ALL.value:
    raise UserError(f"--format and --all are for --mode=report; --mode is {run_flags.MODE.value}")
  if run_flags.HTML.value is not None:
    raise UserError(f"--html is for --mode=report; --mode is {run_flags.MODE.value}")
  if run_flags.MODE.value == "evaluate":
    return modes.evaluate_checkpoint()
  if run_flags.STEP.value is not None:
    raise UserError(
      f"--step={run_flags.STEP.value} is for --mode=evaluate and report; --mode is train"
    )
  if _PRINT_CONFIG.value:
    return modes.print_config()
  config, folder = run_flags.read_config(), run_flags.workdir()
  verbose = run_flags.VERBOSE.value
  run_flags.prepare_devices()
  from vireid_jax.experiment import train

  return modes.until_stopped(lambda: train.train(config, folder, verbose=verbose))


if __name__ == "__main__":
  run_flags.run(main)
