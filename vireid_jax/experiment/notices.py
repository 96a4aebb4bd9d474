"""Notices to the user of a run: one line each, shown once, and kept in the run's manifest."""

import pathlib
import sys
from collections.abc import Callable

import jax

from vireid_jax.common import terminal
from vireid_jax.experiment import manifest

# (key, text): the key is the kind of notice; a run shows one of each kind.
Tell = Callable[[str, str], None]


def show(key: str, text: str) -> None:
  """Prints a notice to standard error on the first process, without storing it."""
  del key
  if jax.process_index() == 0:
    print(terminal.fitted(f"notice: {text}", sys.stderr), file=sys.stderr, flush=True)


class Notices:
  """The notices of a run, stored in `manifest.json` as {'key', 'step', 'text'}."""

  def __init__(self, workdir: pathlib.Path):
    """Reads the notices of earlier starts.

    Args:
      workdir: Folder of the run.
    """
    self._workdir = workdir
    self._told = {notice["key"] for notice in manifest.read(workdir)["notices"]}
    self.step = 0

  def __call__(self, key: str, text: str) -> None:
    """Shows and stores a notice, unless the run has one with this key.

    Args:
      key: Kind of notice, such as 'weights_left_over'; stable across versions.
      text: One sentence: what was noticed, the values, and what to check.
    """
    if key in self._told:
      return
    self._told.add(key)
    show(key, text)
    if jax.process_index() == 0:
      manifest.add_notice(self._workdir, {"key": key, "step": self.step, "text": text})
