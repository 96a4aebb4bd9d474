"""Detects losses that do not learn, from logged scalars."""

import collections
from collections.abc import Mapping

import numpy as np

from vireid_jax.experiment.notices import Tell

NEAR = 0.01  # relative to the trivial value
STILL = 0.05  # relative to the first epoch's mean
FEWEST = 2  # log lines per epoch


class Stagnation:
  """Notices a term at its trivial value for an epoch, or a loss that did not change in two."""

  def __init__(self, trivial_values: Mapping[str, float], steps_per_epoch: int, tell: Tell):
    """Starts without any scalars.

    Args:
      trivial_values: Trivial values of the method's terms; see `methods.base.Method`.
      steps_per_epoch: Number of steps in an epoch.
      tell: Function that shows a notice.
    """
    # A term of weight zero carries no information.
    self._trivial = {name: value for name, value in trivial_values.items() if value}
    self._steps_per_epoch, self._tell = steps_per_epoch, tell
    self._since: dict[str, int] = {}
    self._compared = False
    self._epochs = collections.defaultdict(list)

  def see(self, step: int, values: Mapping[str, float]) -> None:
    """Reads the scalars of a logged step, among them 'loss' and 'loss/<term>'."""
    for name, trivial in self._trivial.items():
      if f"loss/{name}" in values:
        self._see_term(step, name, values[f"loss/{name}"], trivial)
    if "loss" in values:
      self._see_loss(step, values["loss"])

  def _see_term(self, step: int, name: str, value: float, trivial: float) -> None:
    if abs(value - trivial) > NEAR * abs(trivial):
      self._since.pop(name, None)
      return
    since = self._since.setdefault(name, step)
    if since < step and step - since >= self._steps_per_epoch - 1:
      self._tell(
        f"trivial_value/{name}",
        f"loss/{name} has stayed at {value:.4f} from step {since} to {step}; {trivial:.4f} is its "
        "value when all features are equal, so it has not begun to separate identities: try a "
        "lower optim.lr, a longer optim.warmup, or pretrained weights",
      )

  def _see_loss(self, step: int, loss: float) -> None:
    epoch = (step - 1) // self._steps_per_epoch
    if epoch < 2:
      self._epochs[epoch].append(loss)
    if self._compared or step < 2 * self._steps_per_epoch:
      return
    self._compared = True
    first, second = (np.array(self._epochs[index]) for index in (0, 1))
    if min(len(first), len(second)) >= FEWEST:
      self._compare(step, first, second)

  def _compare(self, step: int, first: np.ndarray, second: np.ndarray) -> None:
    moved = abs(second.mean() - first.mean())
    # Batches vary: twice the standard deviation of the difference of means.
    scatter = 2 * np.sqrt(first.var() / len(first) + second.var() / len(second))
    if moved <= min(STILL * abs(first.mean()), max(scatter, 1e-6 * abs(first.mean()))):
      self._tell(
        "still_loss",
        f"the loss has not moved: its mean was {first.mean():.4f} in the first epoch and is "
        f"{second.mean():.4f} in the second (steps up to {step}); check optim.lr and optim.warmup",
      )
