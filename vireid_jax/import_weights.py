"""Converts the authors' PyTorch weights to a checkpoint.

python -m vireid_jax.import_weights --config configs/mpanet_sysu.py --weights FILE --workdir DIR

It is a checkpoint of step 0, which `--mode=evaluate` and training read like any other. The data set
must be prepared: its training identities and the length of an epoch are stored with the weights.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

from absl import flags, logging

from vireid_jax.cli import run_flags
from vireid_jax.common.errors import UserError, printable
from vireid_jax.experiment.imported import import_weights
from vireid_jax.models import convert

UNUSED = (
  "all",
  "format",
  "coordinator_address",
  "html",
  "mode",
  "num_processes",
  "process_id",
  "step",
  "verbose",
)
_WEIGHTS = flags.DEFINE_string("weights", None, "Weights file or hub name.")


def main(argv: list[str]) -> int:
  """Runs the command line; returns the exit code."""
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  run_flags.refuse(UNUSED)
  config = run_flags.read_config()
  if not _WEIGHTS.value:
    raise UserError("--weights is required; for example --weights model.pth")
  workdir = run_flags.workdir("-imported")
  logging.set_verbosity(logging.ERROR)
  ignored = import_weights(config, _WEIGHTS.value, workdir)
  table = convert.name_table(config.method.name)
  reason = f" ({table.ignored_because}; counters of batches)" if ignored else ""
  said = f"{workdir}: checkpoint 0 from {_WEIGHTS.value}; {len(ignored)} tensors unused{reason}"
  print(printable(said))
  return 0


if __name__ == "__main__":
  run_flags.run(main, unused=UNUSED)
