"""A run with evaluations, a best checkpoint and its data still to be rendered, as a process.

evaluated_runs.py DATA_DIR WORKDIR
"""

if __name__ == "__main__":
  from vireid_jax.common import interrupts

  interrupts.install()  # before the imports that take seconds

import pathlib
import sys

from toys import config as toy_config

from vireid_jax import config as config_lib
from vireid_jax.cli import app
from vireid_jax.experiment import train

STEPS, SAVE, EVALUATE = 2000, 7, 10
METRIC = "all/1-shot/random_choice/mAP"


def make_config(data_dir):
  """Returns the config of a run that evaluates held-out people, from before its first step on."""
  config = toy_config.make(data_dir, steps=STEPS, save=SAVE)
  config_lib.hold_out_val(config)
  config.eval.at_start = config.eval.quick = True
  config.eval.every = f"{EVALUATE} steps"
  config.checkpoint.keep_best = METRIC
  return config


if __name__ == "__main__":
  folders = [pathlib.Path(argument) for argument in sys.argv[1:]]
  app.start(lambda: train.train(make_config(folders[0]), folders[1]) and None)
