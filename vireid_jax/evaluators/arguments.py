"""Checks of what protocols are given."""

from collections.abc import Iterable

import numpy as np

from vireid_jax.errors import UserError, nearest


def names(argument: str, given: str | Iterable[str], allowed: Iterable[str]) -> tuple[str, ...]:
  """Returns `given` as a tuple of distinct allowed names; a single name may stand alone.

  Raises:
    UserError: none, an unknown or a repeated name.
  """
  given = (given,) if isinstance(given, str) else tuple(given)
  for name in given:
    if name not in allowed:
      raise UserError(f"{argument} holds {name!r}; {nearest(str(name), allowed)}")
  return _distinct(argument, given)


def counts(argument: str, given: int | Iterable[int]) -> tuple[int, ...]:
  """Returns `given` as a tuple of distinct whole numbers from 1; one number may stand alone.

  Raises:
    UserError: none, a repeated one, or something that is not a whole number from 1.
  """
  given = tuple(given) if isinstance(given, Iterable) else (given,)
  for value in given:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
      raise UserError(f"{argument} holds {value!r}; it must be a whole number from 1")
  return _distinct(argument, tuple(int(value) for value in given))


def _distinct(argument, given):
  if not given or len(set(given)) < len(given):
    raise UserError(f"{argument} is {given!r}; it must hold at least one value, each once")
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
