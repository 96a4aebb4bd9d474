"""Hooks: other places to which a run's scalars and pictures are written as they come."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np

from vireid_jax.training.hooks import tensorboard, weights_and_biases


class Hook(Protocol):
  """Receives what a run measures. Only the first process has hooks."""

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Takes the scalars of a step."""

  def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
    """Takes pictures of a step by name, uint8 [h, w, 3]."""

  def close(self) -> None:
    """Writes what is left."""


# Each opens the hook of a workdir, or returns None if it is not available.
HOOKS: dict[str, Callable[[pathlib.Path], Hook | None]] = {
  "tensorboard": tensorboard.open_hook,
  "wandb": weights_and_biases.open_hook,
}


def open_all(workdir: pathlib.Path, **wanted: bool) -> list[Hook]:
  """Opens the hooks of a run.

  Args:
    workdir: Folder of the run.
    **wanted: Whether to open each of `HOOKS`, as in config.log.

  Raises:
    UserError: A package is missing, or a service refuses the run.
  """
  opened = [HOOKS[name](workdir) for name, want in wanted.items() if want]
  return [hook for hook in opened if hook is not None]


@contextlib.contextmanager
def opened(workdir: pathlib.Path, **wanted: bool) -> Iterator[list[Hook]]:
  """Opens the hooks of a run for the context; see `open_all`."""
  with contextlib.ExitStack() as stack:
    yield [stack.enter_context(contextlib.closing(hook)) for hook in open_all(workdir, **wanted)]
