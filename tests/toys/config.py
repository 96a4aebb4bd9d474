"""Runs of the toy methods on the smoke data set: seconds, mostly reading and compiling."""

import config_files
from ml_collections import ConfigDict


def smoke(data_dir, name="agw_synthetic", *, method="toys.linear", **options):
  """Returns the smoke variant of a config with a toy method, not evaluated at its start.

  Args:
    data_dir: root of prepared data sets.
    name: of the config.
    method: its module.
    **options: of the method.
  """
  config = config_files.smoke(name, data_dir)
  config.method = ConfigDict({"name": method, "feature": "after_neck", "width": 8, **options})
  config.eval.at_start = False
  config.log.tensorboard = False
  return config


def one_setting(config):
  """Changes a config on SYSU-MM01's layout to evaluate all/1-shot/random_choice alone."""
  config.eval.protocol.modes = ("all",)
  config.eval.protocol.shots = (1,)
  config.eval.protocol.galleries = ("random_choice",)
  return config


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
  config = one_setting(smoke(data_dir, method=method, **options))
  config.optim.name = optimizer
  config.optim.lr = 1e-2
  config.train.duration = f"{steps} steps"
  config.checkpoint.every = f"{save} steps"
  config.log.every = f"{log} steps"
  return config
