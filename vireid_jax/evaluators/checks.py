"""Checks of the arguments of protocols."""

from collections.abc import Iterable, Mapping

import numpy as np

from vireid_jax.common.errors import UserError, choose, shown

MOST = 10_000  # trials, shots or neighbours; larger numbers are mistakes


def names(argument: str, given: str | Iterable[str], allowed: Iterable[str]) -> tuple[str, ...]:
  """Returns `given`, one name or several, as a tuple of distinct allowed names.

  Raises:
    UserError: There is no name, or one is unknown or repeated.
  """
  given = _items(argument, given)
  for name in given:
    one_of(argument, name, allowed)
  return _distinct(argument, given)


def one_of(argument: str, given: str, allowed: Iterable[str]) -> None:
  """Raises UserError unless `given` is one of the allowed names."""
  choose(given, allowed, said=f"{argument} holds {shown(given)}")


def counts(argument: str, given: int | Iterable[int]) -> tuple[int, ...]:
  """Returns `given`, one number or several, as a tuple of distinct whole numbers from 1.

  Raises:
    UserError: There is no number, or one is repeated or not a whole number from 1 to `MOST`.
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
  """Returns `given`, one value or several, as a tuple."""
  if isinstance(given, str | bytes) or not isinstance(given, Iterable):
    return (given,)
  if isinstance(given, Mapping):
    raise UserError(f"{argument} is {shown(given)}; give values separated by commas")
  return tuple(given)


def _distinct(argument, given):
  if not given or len(set(given)) < len(given):
    raise UserError(f"{argument} is {shown(given)}; it must hold at least one value, each once")
  return given


def rows_match(features, records) -> np.ndarray:
  """Returns `features` as an array [n, d] with one row per record.

  Raises:
    UserError: The array has another shape.
  """
  features = np.asarray(features)
  if features.ndim != 2 or len(features) != len(records):
    raise UserError(
      f"features have shape {features.shape}, but the split holds {len(records)} images; expected "
      "[images, dimensions], one row per image in storage order"
    )
  return features
