"""Scalars and pictures as a run of Weights & Biases (extra `wandb`)."""

import json
import os
import pathlib
import secrets
from collections.abc import Mapping

import numpy as np

from vireid_jax.common import appended, files, workdir_files
from vireid_jax.common.errors import UserError, printable

PROJECT, PROJECT_VARIABLE = "vireid_jax", "WANDB_PROJECT"
# The terminal is the progress bar's; an interrupt must reach the run, not its messages.
SETTINGS = {"console": "off", "silent": True}


class WeightsAndBiases:
  """Logs to a run; see `hooks.Hook`."""

  def __init__(self, wandb, run, mirror: appended.Mirror):
    """Wraps the package, what its `init` returned, and the folder that it writes."""
    self._wandb, self._run, self._mirror = wandb, run, mirror

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Logs the scalars of a step."""
    self._run.log(dict(values), step=step)

  def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
    """Logs pictures, uint8 [h, w, 3]."""
    self._run.log({name: self._wandb.Image(pixels) for name, pixels in pictures.items()}, step=step)

  def close(self) -> None:
    """Waits until everything is sent, or stored if there is no network."""
    self._run.finish()
    self._mirror.close()


def open_hook(workdir: pathlib.Path) -> WeightsAndBiases:
  """Starts the run of a workdir, or continues it.

  Args:
    workdir: Folder of the run, with its config.

  Raises:
    UserError: wandb is not installed, or refuses the run.
  """
  wandb = check()
  config, mirror = workdir / workdir_files.CONFIG, appended.Mirror(workdir)
  try:
    run = wandb.init(
      project=os.environ.get(PROJECT_VARIABLE) or PROJECT,
      name=workdir.name,
      id=_identifier(workdir),
      resume="allow",
      dir=str(mirror.folder),
      config=json.loads(config.read_bytes()) if config.exists() else {},
      settings=SETTINGS,
    )
  except Exception as error:  # of many kinds: no login, no network, a refused name
    reason = printable(" ".join(str(error).split()))[:300]
    raise UserError(
      f"config.log.wandb=True: Weights & Biases does not start: {reason}. Run 'wandb login', or "
      "set WANDB_MODE=offline to log without a network, or use config.log.wandb=False"
    ) from error
  print(f"Weights & Biases: {getattr(run, 'url', None) or workdir / 'wandb'}", flush=True)
  return WeightsAndBiases(wandb, run, mirror)


def check():
  """Returns the package.

  Raises:
    UserError: It is not installed.
  """
  try:
    import wandb
  except ImportError as error:
    raise UserError(
      "config.log.wandb=True needs wandb: pip install 'vireid_jax[wandb]' (in a checkout pip "
      "install -e '.[wandb]'), or use config.log.wandb=False"
    ) from error
  return wandb


def _identifier(workdir: pathlib.Path) -> str:
  """Returns the name by which a continued run is found again; draws it at the first start."""
  path = workdir / workdir_files.WANDB_ID
  if not path.exists():
    files.write_text(path, secrets.token_hex(4) + "\n")
  return path.read_text(encoding="utf-8").strip()
