"""Orbax checkpoints of the training state, with the metadata needed to read it."""

import contextlib
import functools
import logging
import pathlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import jax
from jax.sharding import Sharding
from orbax.checkpoint import v1 as ocp

from vireid_jax.common import files, hints
from vireid_jax.common.errors import UserError
from vireid_jax.common.package_versions import versions
from vireid_jax.common.workdir_files import CHECKPOINTS
from vireid_jax.training import checkpoint_seal, finite
from vireid_jax.training.checkpoint_folders import METADATA, complete, find_damaged, newest, step_of
from vireid_jax.training.state import TrainState

LONGEST_REASON = 200  # characters


class Checkpoints:
  """The checkpoints of a workdir, one folder per step.

  Saves run in the background, into a temporary folder that is renamed when complete, so that a
  killed or failed save is never taken for a checkpoint. A metadata dictionary (JSON: config, label
  mapping, versions, ...) is saved with each.
  """

  def __init__(self, workdir: pathlib.Path, *, keep: int | None = 1):
    """Opens or creates `workdir/checkpoints`.

    Args:
      workdir: Folder of the run.
      keep: Number of latest checkpoints to keep, at least one; None keeps all.
    """
    self._workdir, self._preserve = workdir, _Preserve(keep)
    self._sealing: threading.Thread | None = None
    self._failure: Exception | None = None
    with files.user_errors_for_writes(workdir):
      self._opened = self._open()

  def _open(self) -> ocp.training.Checkpointer | Exception:
    """Returns Orbax's checkpointer, or the error, which does not matter for listing steps."""
    _quieten_readers()
    try:
      return ocp.training.Checkpointer(
        (self._workdir / CHECKPOINTS).absolute(),
        # The training loop decides when to save.
        save_decision_policy=_Always(),
        preservation_policy=self._preserve,
      )
    except Exception as error:
      if files.reason_of(error):
        raise
      return error

  @property
  def _checkpointer(self) -> ocp.training.Checkpointer:
    if isinstance(self._opened, Exception):
      # Orbax reads the metadata of all checkpoints, and one is damaged.
      raise self._refusal(find_damaged(self._workdir), self._opened)
    return self._opened

  def keep_every(self, steps: int) -> None:
    """Also keeps checkpoints whose step is a multiple of `steps`; 0 keeps no others."""
    self._preserve.every = steps

  def latest(self) -> int | None:
    """Returns the newest complete checkpoint's step, or None."""
    return newest(self._workdir)

  def complete(self) -> int | None:
    """Waits for a save in progress, then returns the newest step."""
    self.wait()
    return self.latest()

  def steps(self) -> list[int]:
    """Returns the steps of all complete checkpoints, ascending."""
    return [step_of(folder) for folder in complete(self._workdir)]

  def save(self, step: int, state: TrainState, meta: dict[str, Any]) -> None:
    """Starts saving; returns once the state is copied, so that the next step may overwrite it.

    Raises:
      UserError: This or the previous save cannot be written, or the state is not finite and is not
        saved.
    """
    self.wait()
    if self.latest() == step:
      return
    finite.check_state(_as_tree(state), step=step, last_good=self.latest())
    meta = {**meta, "step": step, "versions": versions()}
    with self._explained():
      self._checkpointer.save_async(step, _as_tree(state), custom_metadata=meta)
    self._seal_when_complete(step)

  def wait(self) -> None:
    """Waits for a save in progress.

    Raises:
      UserError: It could not be written.
    """
    if isinstance(self._opened, Exception):
      return
    if self._sealing:
      self._sealing.join()
    with self._explained():
      self._checkpointer.wait()
      failure, self._failure = self._failure, None
      if failure:
        raise failure

  def meta(self, step: int) -> dict[str, Any]:
    """Returns the metadata of a checkpoint."""
    with self._readable(step):
      checkpoint_seal.check(self._folder(step), METADATA)
      meta = self._checkpointer.metadata(step).custom_metadata
      if not meta:
        raise ValueError("its metadata file is missing or empty")
      return meta

  def restore(self, step: int, abstract: TrainState) -> TrainState:
    """Loads a state into the shapes, dtypes and shardings of `abstract`."""
    return TrainState(**self._load(step, _as_tree(abstract)))

  def restore_variables(self, step: int, sharding: Sharding) -> dict[str, Any]:
    """Loads all collections in their saved shapes, without the optimiser's state."""
    with self._readable(step):
      checkpoint_seal.check(self._folder(step))
      stored = self._checkpointer.metadata(step).metadata
      if stored is None:
        raise ValueError("its description of the arrays cannot be read")
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
    """Waits for a save in progress and closes the folder; see `wait`."""
    self.wait()
    if not isinstance(self._opened, Exception):
      with self._explained():
        self._opened.close()

  def _folder(self, step: int) -> pathlib.Path:
    return self._workdir / CHECKPOINTS / str(step)

  def _seal_when_complete(self, step: int) -> None:
    if jax.process_index():
      return

    def seal() -> None:
      try:
        self._checkpointer.wait()
      except Exception as error:
        self._failure = error
        return
      # A checkpoint without digests is still complete.
      with contextlib.suppress(Exception):
        checkpoint_seal.write(self._folder(step))

    self._sealing = threading.Thread(target=seal, name="digests")
    self._sealing.start()

  def _load(self, step: int, abstract: Any) -> Any:
    with self._readable(step):
      checkpoint_seal.check(self._folder(step))
      return self._checkpointer.load(step, abstract)

  @contextlib.contextmanager
  def _readable(self, step: int) -> Iterator[None]:
    try:
      yield
    except UserError:
      raise
    except Exception as error:
      raise self._refusal(step, error) from error

  def _refusal(self, step: int, error: Exception) -> UserError:
    return UserError(
      f"checkpoint {step} in {self._workdir} cannot be read: {_reason(error)}. Checkpoints here: "
      f"{self.steps()}; move the broken folder {self._folder(step)} away to continue from an "
      "earlier one"
    )

  def _explained(self):
    return files.user_errors_for_writes(self._workdir, self._describe_kept)

  def _describe_kept(self) -> str:
    step = newest(self._workdir)
    return "" if step is None else f"Checkpoint {step} is complete and stays. "


class _Preserve:
  """Keeps the latest `keep` checkpoints (None: all) and those at multiples of `every` (0: none)."""

  def __init__(self, keep: int | None, every: int = 0):
    self.keep, self.every = keep if keep is None else max(keep, 1), every

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


@functools.cache
def _quieten_readers() -> None:
  """Silences all but the first error of Orbax's readers, of which one fails per array."""
  logging.getLogger("asyncio").setLevel(logging.CRITICAL)
  report = sys.unraisablehook

  def hook(info) -> None:
    if "Event loop is closed" not in str(info.exc_value):
      report(info)

  sys.unraisablehook = hook


def _reason(error: Exception) -> str:
  """Returns the first line of an error, without the library's internal details."""
  lines = str(error).strip().splitlines() or [type(error).__name__]
  text = lines[0].partition(" [tensorstore_spec")[0]
  return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def _as_tree(state: TrainState) -> dict[str, Any]:
  return {
    "step": state.step,
    "params": state.params,
    "collections": state.collections,
    "opt_state": state.opt_state,
  }


def choose_step(checkpoints: Checkpoints, workdir: pathlib.Path, step: int | None) -> int:
  """Returns `step`, or the latest if None; raises UserError if there is no such checkpoint."""
  steps = checkpoints.steps()
  if not steps:
    advice = hints.command("train", "--config", "FILE", "--workdir", workdir)
    raise UserError(f"{workdir} holds no complete checkpoint; train first with {advice}")
  if step is None:
    return steps[-1]
  if step not in steps:
    raise UserError(f"{workdir} has no checkpoint of step {step}; there are {steps}")
  return step
