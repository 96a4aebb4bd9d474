"""Converts the authors' PyTorch weights to checkpoints."""

import pathlib

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.common import files, interrupts, units, workdir_files
from vireid_jax.common.errors import UserError, printable
from vireid_jax.config import checks, parts
from vireid_jax.config.images import load_train_images, open_dataset
from vireid_jax.data.training import sampler
from vireid_jax.models import convert
from vireid_jax.runtime import workdir_lock
from vireid_jax.training import first_state
from vireid_jax.training import state as state_lib
from vireid_jax.training.checkpoint import Checkpoints


def import_weights(config: ConfigDict, source: str, workdir: pathlib.Path) -> list[str]:
  """Writes a checkpoint of step 0 with the weights of a PyTorch model.

  Args:
    config: Config with the method and data set of the weights.
    source: File or hub name; see `convert.load_weights`.
    workdir: Folder for the checkpoint; must not have any.

  Returns:
    The names of tensors that were ignored on purpose.

  Raises:
    UserError: The method's PyTorch names are not known, the weights do not fit, or the workdir has
      checkpoints.
  """
  checks.validate(config)
  _refuse_used(workdir)
  table = convert.name_table(config.method.name)
  weights = convert.load_weights(source)
  index, batches = _training_data(config)
  clock = parts.make_clock(config, batches.steps_per_epoch)
  method = parts.make_method(config, num_classes=len(index), steps_per_epoch=clock.steps_per_epoch)
  shapes = first_state.abstract_variables(config.data.image_size, config.seed, method)
  try:
    variables, ignored = convert.import_weights(shapes, weights, table, as_published=True)
  except UserError as error:
    raise UserError(f"{printable(source)}: {error}") from None
  _, optimizer = parts.make_optimizer(config, method, clock)
  state = state_lib.create(jax.tree.map(jnp.asarray, variables), optimizer)
  meta = {
    "config": config_lib.to_dict(config),
    "identities": index.identities.tolist(),
    "steps_per_epoch": clock.steps_per_epoch,
  }
  # Signals are deferred: writing a checkpoint takes a second, and half of one is useless.
  with interrupts.deferred(), files.user_errors_for_writes(workdir):
    _save(state, meta, config, workdir)
  return ignored


def _training_data(config: ConfigDict):
  """Returns the identity index and the sampler, without decoding images."""
  images = load_train_images(config, open_dataset(config))
  index = sampler.IdentityIndex(images.records)
  return index, sampler.create(seed=config.seed, index=index, **config.sampler.to_dict())


def _refuse_used(workdir: pathlib.Path) -> None:
  """Raises UserError if a workdir has checkpoints."""
  if not (workdir / workdir_files.CHECKPOINTS).exists():
    return
  checkpoints = Checkpoints(workdir, keep=None)
  latest = checkpoints.latest()
  checkpoints.close()
  if latest is not None:
    raise UserError(f"{workdir} already has checkpoints; choose another --workdir")


def _save(state, meta: dict, config: ConfigDict, workdir: pathlib.Path) -> None:
  files.make_workdir(workdir)
  with workdir_lock.hold(workdir):
    _refuse_used(workdir)  # again under the lock, after concurrent imports
    checkpoints = Checkpoints(workdir, keep=config.checkpoint.keep)
    checkpoints.save(0, state, meta)
    checkpoints.close()
    config_lib.save(config, workdir / workdir_files.CONFIG)
    units.write(workdir)
