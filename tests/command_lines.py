"""Parses command lines in this process, as a command does that is started with them."""

import contextlib
import sys

from absl import flags
from absl.testing import flagsaver

from vireid_jax import main as main_lib
from vireid_jax.cli import config_flag


@contextlib.contextmanager
def parsed(*arguments):
  """Gives what `main_lib` holds after parsing; its flags are as before afterwards."""
  argv, before = sys.argv, flagsaver.save_flag_values()
  sys.argv = ["main", *arguments]
  try:
    flags.FLAGS.unparse_flags()
    config_flag.parse(sys.argv)
    yield main_lib
  finally:
    sys.argv = argv
    flagsaver.restore_flag_values(before)


def config(*arguments):
  """Returns the config of a command line."""
  with parsed(*arguments) as main:
    return main.run_flags.read_config()
