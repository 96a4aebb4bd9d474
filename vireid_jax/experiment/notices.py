"""What the user of a run should know early: one line each, once, and kept in the run's manifest."""

import pathlib
import sys
from collections.abc import Callable

import jax

from vireid_jax.experiment import manifest

# (key, text): the key says what kind of notice it is; of each key a run shows one.
Tell = Callable[[str, str], None]


def show(key: str, text: str) -> None:
  """Prints one line to standard error, on the first process; for callers that keep no record."""
  del key
  if jax.process_index() == 0:
    print(f"notice: {text}", file=sys.stderr, flush=True)


class Notices:
  """The notices of a run, `notices` in its `manifest.json`: {'key', 'step', 'text'} each."""

  def __init__(self, workdir: pathlib.Path):
    """Reads those of earlier starts.

    Args:
      workdir: of the run.
    """
    self._workdir = workdir
    self._told = {notice["key"] for notice in manifest.read(workdir)["notices"]}
    self.step = 0

  def __call__(self, key: str, text: str) -> None:
    """Shows and keeps a notice, unless the run has one of this key.

    Args:
      key: such as 'weights_left_over'; stable across versions.
      text: one sentence that says what was noticed, the values, and what to look at.
    """
    if key in self._told:
      return
    self._told.add(key)
    show(key, text)
    if jax.process_index() == 0:
      manifest.add_notice(self._workdir, {"key": key, "step": self.step, "text": text})
