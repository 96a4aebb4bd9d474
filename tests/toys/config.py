"""Runs of the toy methods on the smoke data set: seconds, mostly reading and compiling."""

import config_files
from ml_collections import ConfigDict


def make(data_dir, *, method="toys.linear", steps=4, save=2, log=1, optimizer="adam", **options):
  """Returns the config of a run of a toy method.

  Args:
    data_dir: root of prepared data sets.
    method: its module.
    steps: to train.
    save: steps between checkpoints.
    log: steps between log lines.
    optimizer: 'sgd' or 'adam'.
    **options: of the method.
  """
  config = config_files.smoke("agw_synthetic", data_dir)
  config.method = ConfigDict({"name": method, "feature": "after_neck", "width": 8, **options})
  config.optim.name = optimizer
  config.optim.lr = 1e-2
  config.train.duration = f"{steps} steps"
  config.checkpoint.every = f"{save} steps"
  config.log.every = f"{log} steps"
  config.log.tensorboard = False
  config.eval.at_start = False
  config.eval.protocol.modes = ("all",)
  config.eval.protocol.shots = (1,)
  config.eval.protocol.galleries = ("random_choice",)
  return config
