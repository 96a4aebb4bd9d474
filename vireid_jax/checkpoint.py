"""Orbax checkpoints: the training state and what is needed to read it, saved as one."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import jax
from jax.sharding import Sharding
from orbax.checkpoint import v1 as ocp

import vireid_jax
from vireid_jax import finite, storage
from vireid_jax.errors import UserError
from vireid_jax.train_state import TrainState

FOLDER = "checkpoints"
UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written
PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


class Checkpoints:
  """The checkpoints of a workdir, one folder per step.

  Saves run in the background, into a folder of another name that is renamed when all is written:
  what a killed or failed save leaves is never taken for a checkpoint. A meta dictionary (JSON:
  config, label mapping, versions, ...) is saved with each.
  """

  def __init__(self, workdir: pathlib.Path, *, keep: int | None = 1, clean: bool = False):
    """Opens or creates `workdir/checkpoints`.

    Args:
      workdir: of the run.
      keep: how many of the latest are kept; None for all.
      clean: remove what killed saves left behind. Only for the run that writes here: a save under
        way looks the same.
    """
    self._workdir, self._preserve = workdir, _Preserve(keep)
    with storage.explained(workdir):
      if clean and jax.process_index() == 0:
        for path in (workdir / FOLDER).glob(f"*{UNFINISHED}*"):
          shutil.rmtree(path)
      self._checkpointer = ocp.training.Checkpointer(
        (workdir / FOLDER).absolute(),
        # When to save is the training loop's decision alone.
        save_decision_policy=_Always(),
        preservation_policy=self._preserve,
      )

  def keep_every(self, steps: int) -> None:
    """Keeps every checkpoint whose step is a multiple of `steps` as well; 0 keeps none more."""
    self._preserve.every = steps

  def latest(self) -> int | None:
    """Returns the newest complete checkpoint's step, or None."""
    latest = self._checkpointer.latest
    return None if latest is None else latest.step

  def complete(self) -> int | None:
    """Waits for a save that is under way, then returns the newest step."""
    self.wait()
    return self.latest()

  def steps(self) -> list[int]:
    """Returns the steps of all complete checkpoints, ascending."""
    return sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)

  def save(self, step: int, state: TrainState, meta: dict[str, Any]) -> None:
    """Starts saving; returns once the state is copied, so that the next step may overwrite it.

    Raises:
      UserError: this or the save before it cannot be written; or numbers of the state are not
        finite, and nothing is saved.
    """
    self.wait()
    if self.latest() == step:
      return
    finite.check_state(_as_tree(state), step=step, last_good=self.latest())
    meta = {**meta, "step": step, "versions": versions()}
    with self._explained():
      self._checkpointer.save_async(step, _as_tree(state), custom_metadata=meta)

  def wait(self) -> None:
    """Waits for a save that is under way.

    Raises:
      UserError: it could not be written.
    """
    with self._explained():
      self._checkpointer.wait()

  def meta(self, step: int) -> dict[str, Any]:
    """Returns the meta dictionary of a checkpoint."""
    with self._readable(step):
      meta = self._checkpointer.metadata(step).custom_metadata
      if not meta:
        raise ValueError("its metadata file is missing or empty")
      return meta

  def restore(self, step: int, abstract: TrainState) -> TrainState:
    """Loads a state into the shapes, dtypes and shardings of `abstract`."""
    return TrainState(**self._load(step, _as_tree(abstract)))

  def restore_variables(self, step: int, sharding: Sharding) -> dict[str, Any]:
    """Loads all collections, without the optimiser's state, whatever their shapes."""
    with self._readable(step):
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
    """Waits for saves that are under way; see `wait`."""
    with self._explained():
      self._checkpointer.close()

  def _load(self, step: int, abstract: Any) -> Any:
    with self._readable(step):
      return self._checkpointer.load(step, abstract)

  @contextlib.contextmanager
  def _readable(self, step: int) -> Iterator[None]:
    try:
      yield
    except (ValueError, KeyError, TypeError, OSError) as error:
      reason = str(error).strip().splitlines()[0]
      raise UserError(
        f"checkpoint {step} in {self._workdir} cannot be read: {reason}. Checkpoints here: "
        f"{self.steps()}; move the broken folder {self._workdir / FOLDER / str(step)} away to "
        "continue from an earlier one"
      ) from error

  def _explained(self):
    return storage.explained(self._workdir, self._describe_kept)

  def _describe_kept(self) -> str:
    # What Orbax lists includes the save that has just failed.
    names = [path.name for path in (self._workdir / FOLDER).glob("*")]
    steps = [int(name) for name in names if name.isdecimal()]
    return f"Checkpoint {max(steps)} is complete and stays. " if steps else ""


class _Preserve:
  """The latest `keep` checkpoints (None: all), and those at multiples of `every` (0: none)."""

  def __init__(self, keep: int | None, every: int = 0):
    self.keep, self.every = keep, every

  def should_preserve(self, checkpoints, *, context) -> list[bool]:
    """Decides for each checkpoint, ascending by step."""
    del context
    latest = len(checkpoints) - (len(checkpoints) if self.keep is None else self.keep)
    return [
      position >= latest or (self.every > 0 and checkpoint.step % self.every == 0)
      for position, checkpoint in enumerate(checkpoints)
    ]


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
