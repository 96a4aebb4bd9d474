"""Orbax checkpoints: the training state and what is needed to read it, saved as one."""

import pathlib
from importlib import metadata
from typing import Any

import jax
from jax.sharding import Sharding
from orbax.checkpoint import v1 as ocp

import vireid_jax
from vireid_jax.errors import UserError
from vireid_jax.train_state import TrainState

FOLDER = "checkpoints"
PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


class Checkpoints:
  """The checkpoints of a workdir, one folder per step.

  Saves run in the background and become visible only when complete. A meta dictionary (JSON:
  config, label mapping, versions, ...) is saved with each.
  """

  def __init__(self, workdir: pathlib.Path, *, keep: int = 1):
    """Opens or creates `workdir/checkpoints`, of which the latest `keep` are kept."""
    self._checkpointer = ocp.training.Checkpointer(
      (workdir / FOLDER).absolute(),
      # When to save is the training loop's decision alone.
      save_decision_policy=_Always(),
      preservation_policy=ocp.training.preservation_policies.LatestN(keep),
    )

  def latest(self) -> int | None:
    """Returns the newest complete checkpoint's step, or None."""
    latest = self._checkpointer.latest
    return None if latest is None else latest.step

  def steps(self) -> list[int]:
    """Returns the steps of all complete checkpoints, ascending."""
    return sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)

  def save(self, step: int, state: TrainState, meta: dict[str, Any]) -> None:
    """Starts saving; returns once the state is copied, so that the next step may overwrite it."""
    self._checkpointer.wait()
    if self.latest() == step:
      return
    meta = {**meta, "step": step, "versions": versions()}
    self._checkpointer.save_async(step, _as_tree(state), custom_metadata=meta)

  def meta(self, step: int) -> dict[str, Any]:
    """Returns the meta dictionary of a checkpoint."""
    return self._checkpointer.metadata(step).custom_metadata

  def restore(self, step: int, abstract: TrainState) -> TrainState:
    """Loads a state into the shapes, dtypes and shardings of `abstract`."""
    return TrainState(**self._load(step, _as_tree(abstract)))

  def restore_variables(self, step: int, sharding: Sharding) -> dict[str, Any]:
    """Loads all collections, without the optimiser's state, whatever their shapes."""
    stored = self._checkpointer.metadata(step).metadata
    wanted = {name: stored[name] for name in ("params", "collections")}
    abstract = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), wanted
    )
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    with context:
      loaded = self._load(step, abstract)
    return {"params": loaded["params"], **loaded["collections"]}

  def close(self) -> None:
    """Waits for saves that are under way."""
    self._checkpointer.close()

  def _load(self, step: int, abstract: Any) -> Any:
    try:
      return self._checkpointer.load(step, abstract)
    except (ValueError, KeyError, FileNotFoundError, OSError) as error:
      raise UserError(
        f"checkpoint {step} cannot be read: {error}. Complete checkpoints here: {self.steps()}; "
        "remove the broken folder to continue from an earlier one"
      ) from error


class _Always:
  def should_save(self, *args, **kwargs) -> bool:
    """Saves whenever asked."""
    del args, kwargs
    return True


def versions() -> dict[str, str]:
  """Returns the versions of this package and of those that decide a run's numbers."""
  return {"vireid_jax": vireid_jax.__version__} | {
    name: metadata.version(name) for name in PACKAGES
  }


def _as_tree(state: TrainState) -> dict[str, Any]:
  return {
    "step": state.step,
    "params": state.params,
    "collections": state.collections,
    "opt_state": state.opt_state,
  }
