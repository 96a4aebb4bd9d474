"""Short runs of any method, also as a process that kills itself: `short_runs.py JSON`."""

import json
import os
import pathlib
import signal
import sys

import config_files
from toys import config as toy_config

from vireid_jax.experiment import train
from vireid_jax.experiment.recorder import Recorder

TOY = "toys.linear"


def make_config(data_dir, *, method=TOY, steps=8, save=4, optimizer="sgd", placement="host"):
  """Returns the config of a run that logs every step.

  Args:
    data_dir: root of prepared data sets.
    method: name of a synthetic config, whose smoke variant is taken, and perhaps ':VARIANT' of it;
      or the toy's.
    steps: to train.
    save: steps between checkpoints.
    optimizer: 'sgd' or 'adam'.
    placement: of the training images.
  """
  if method == TOY:
    config = toy_config.make(data_dir, steps=steps, save=save, optimizer=optimizer)
  else:
    name, _, variant = method.partition(":")
    config = config_files.smoke(f"{name}_synthetic", data_dir, variant)
    config.optim.name, config.optim.lr = optimizer, 1e-3
    config.train.duration, config.checkpoint.every = f"{steps} steps", f"{save} steps"
    config.eval.at_start, config.log.tensorboard = False, False
    config.eval.protocol.trials = 1
  config.log.every = "1 step"
  config.data.placement = placement
  return config


def final_state(config, workdir, step):
  """Returns the state of a checkpoint."""
  run = train.build(config, workdir)
  return run.checkpoints.restore(step, run.abstract)


def main(data_dir, workdir, kill_at=0, **options):
  """Trains; kills its own process after step `kill_at`, once all begun saves are complete."""
  log = Recorder.log

  def log_and_die(recorder, step, scalars):
    log(recorder, step, scalars)
    if step == kill_at:
      recorder._run.checkpoints.wait()
      os.kill(os.getpid(), signal.SIGKILL)

  Recorder.log = log_and_die
  train.train(make_config(data_dir, **options), pathlib.Path(workdir))


if __name__ == "__main__":
  main(**json.loads(sys.argv[1]))
