"""Names of people and cameras: the numbers under which they are stored, and clashes."""

import unicodedata
from collections.abc import Iterable, Sequence

from vireid_jax.data.layout.lists import number
from vireid_jax.data.layout.problems import quoted

_UNSEEN = ("Cc", "Cf", "Cs")


def numbers(names: Sequence[str]) -> tuple[list[int], dict[str, str]]:
  """Numbers the names.

  If all names are whole numbers from 1, in the digits 0 to 9, they keep their numbers; otherwise
  they are numbered from 1 in alphabetical order.

  Args:
    names: Names as given, one per picture, without `clashes`.

  Returns:
    The number of each name; and {number as text: name} for names that differ from their number.
  """
  known = sorted(set(names))
  if all(number(name) for name in known):
    number_of = {name: int(name) for name in known}
  else:
    number_of = {name: place for place, name in enumerate(known, 1)}
  spelled = {str(value): name for name, value in number_of.items() if name != str(value)}
  return [number_of[name] for name in names], spelled


def alike(name: str) -> str:
  """Returns a normal form that is equal for all spellings of a name.

  Case, extra spaces, the composition of accents, invisible characters, the alphabet of digits and
  leading zeros of a number do not make another person.
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
  """Describes names that are two spellings of one person or camera, or that are invisible.

  Args:
    kind: 'identity' or 'camera'.
    named: (name, where it is given) of each picture.
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
        f"{where}: {kind} {_spelled(name, other)} and {_spelled(other, name)} ({place}) would be "
        "the same; use one spelling, or another name"
      )
  return problems


def _spelled(name: str, other: str) -> str:
  same = unicodedata.normalize("NFKC", name) == unicodedata.normalize("NFKC", other)
  return ascii(name) if same else quoted(name)  # the two may look the same
