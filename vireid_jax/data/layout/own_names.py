"""People and cameras by name or number: the numbers they are stored under, and clashes."""

import unicodedata
from collections.abc import Iterable, Sequence

from vireid_jax.data.layout.lists import number
from vireid_jax.data.layout.problems import quoted

_UNSEEN = ("Cc", "Cf", "Cs")


def numbers(names: Sequence[str]) -> tuple[list[int], dict[str, str]]:
  """Returns a number for each name, and the names by number.

  Names that are all whole numbers from 1, in the digits 0 to 9, keep them; others are numbered
  from 1 in alphabetical order.

  Args:
    names: as given, one per picture; no two of them alike (see `clashes`).

  Returns:
    The number of each; and the name as given by number, as text, of those that are written in any
    other way than their number.
  """
  known = sorted(set(names))
  if all(number(name) for name in known):
    number_of = {name: int(name) for name in known}
  else:
    number_of = {name: place for place, name in enumerate(known, 1)}
  spelled = {str(value): name for name, value in number_of.items() if name != str(value)}
  return [number_of[name] for name in names], spelled


def alike(name: str) -> str:
  """Returns what all spellings of a name have in common.

  Case, spaces around and in a row, the composition of accents, invisible characters, the alphabet
  of digits and leading zeros of a number do not make another person.
  """
  folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
  seen = "".join(
    str(unicodedata.decimal(letter)) if letter.isdecimal() else letter
    for letter in folded
    if unicodedata.category(letter) not in _UNSEEN
  )
  text = " ".join(seen.split())
  return text.lstrip("0") or "0" if text.isdecimal() else text


def clashes(kind: str, named: Iterable[tuple[str, str]]) -> list[str]:
  """Says which names are one person or camera in two spellings, and which are nothing to see.

  Args:
    kind: 'identity' or 'camera'.
    named: (name, where it is given).
  """
  problems, first, places = [], {}, {}
  for name, where in named:
    places.setdefault(name, where)
  for name, where in places.items():
    key = alike(name)
    if not key:
      problems.append(f"{where}: the {kind} {quoted(name)} has no visible letter")
    other, place = first.setdefault(key, (name, where))
    if other != name:
      problems.append(
        f"{where}: {kind} {_told(name, other)} and {_told(other, name)} ({place}) would be one; "
        "write it in one way, or give another name"
      )
  return problems


def _told(name: str, other: str) -> str:
  same = unicodedata.normalize("NFKC", name) == unicodedata.normalize("NFKC", other)
  return ascii(name) if same else quoted(name)  # the eye would see no difference
