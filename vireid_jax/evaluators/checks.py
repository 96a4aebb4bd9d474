"""Checks of what protocols are given."""

from collections.abc import Iterable, Mapping

import numpy as np

from vireid_jax.common.errors import UserError, choose, shown

MOST = 10_000  # of trials, shots or neighbours: a larger number is a slip


def names(argument: str, given: str | Iterable[str], allowed: Iterable[str]) -> tuple[str, ...]:
  """Returns `given` as a tuple of distinct allowed names; a single name may stand alone.

  Raises:
    UserError: none, an unknown or a repeated name.
  """
  given = _items(argument, given)
  for name in given:
    one_of(argument, name, allowed)
  return _distinct(argument, given)


def one_of(argument: str, given: str, allowed: Iterable[str]) -> None:
  """Raises UserError unless `given` is one of the allowed names."""
  choose(given, allowed, said=f"{argument} holds {shown(given)}")


def counts(argument: str, given: int | Iterable[int]) -> tuple[int, ...]:
  """Returns `given` as a tuple of distinct whole numbers from 1; one number may stand alone.

  Raises:
    UserError: none, a repeated one, or something that is not a whole number from 1 to `MOST`.
  """
  return _distinct(argument, tuple(count(argument, value) for value in _items(argument, given)))


def count(argument: str, given: int, *, least: int = 1) -> int:
  """Returns `given` as an int; raises UserError unless it is whole and from `least` to `MOST`."""
  whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
  if not whole or not least <= given <= MOST:
    raise UserError(
      f"{argument} holds {shown(given)}; it must be a whole number from {least} to {MOST:,}"
    )
  return int(given)


def share(argument: str, given: float) -> None:
  """Raises UserError unless `given` is a number from 0 to 1."""
  number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
  if not number or not 0 <= given <= 1:
    raise UserError(f"{argument} is {shown(given)}; it must be a number from 0 to 1")


def flag(argument: str, given: bool) -> None:
  """Raises UserError unless `given` is True or False."""
  if not isinstance(given, bool):
    raise UserError(f"{argument} is {shown(given)}; it must be True or False")


def _items(argument: str, given) -> tuple:
  """Returns one value or several as a tuple."""
  if isinstance(given, str | bytes) or not isinstance(given, Iterable):
    return (given,)
  if isinstance(given, Mapping):
    raise UserError(f"{argument} is {shown(given)}; give values between commas")
  return tuple(given)


def _distinct(argument, given):
  if not given or len(set(given)) < len(given):
    raise UserError(f"{argument} is {shown(given)}; it must hold at least one value, each once")
  return given


def rows_match(features, records) -> np.ndarray:
  """Returns `features` as an array [n, d] once there is one row per record.

  Raises:
    UserError: another shape.
  """
  features = np.asarray(features)
  if features.ndim != 2 or len(features) != len(records):
    raise UserError(
      f"features have shape {features.shape}, but the split holds {len(records)} images; expected "
      "[images, dimensions], one row per image in storage order"
    )
  return features
