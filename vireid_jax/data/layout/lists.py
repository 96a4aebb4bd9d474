"""The text files that come with the data sets: lists of identities, and lists of images."""

import pathlib
import re

from vireid_jax.common.errors import UserError
from vireid_jax.data import regular_files
from vireid_jax.data.layout.problems import quoted, refuse, shown

MOST_NUMBER = 2**31 - 1
_DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)


def number(text: str, *, least: int = 1) -> int | None:
  """Parses a whole number written in the digits 0 to 9.

  Args:
    text: Digits without sign or spaces.
    least: Smallest number allowed.

  Returns:
    The number; None for any other text, digits of other alphabets included, or out of range.
  """
  if not _DIGITS.fullmatch(text):
    return None
  return value if least <= (value := int(text)) <= MOST_NUMBER else None


def inside(text: str) -> str | None:
  """Returns a relative path with forward slashes; None if it leaves the folder or is empty.

  Args:
    text: Path in the form of Windows or Unix.
  """
  path = pathlib.PurePosixPath(text.strip().replace("\\", "/"))
  if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]:
    return None
  return path.as_posix()


def read_identities(path: pathlib.Path) -> list[int]:
  """Reads a file of identity numbers, separated by commas, spaces or newlines.

  Raises:
    UserError: The file lists none, or an entry is not a whole number from 1.
  """
  entries = [entry for entry in re.split(r"[,\s]+", regular_files.read_text(path)) if entry]
  wrong = [quoted(entry) for entry in entries if number(entry) is None]
  if wrong or not entries:
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    problem = f"has the entry {', '.join(wrong[:5])}{more}" if wrong else "lists no identity"
    raise UserError(
      f"{shown(str(path))} {problem}; it must list identity numbers from 1, like 1,2,7"
    )
  return sorted({int(entry) for entry in entries})


def read_listing(path: pathlib.Path) -> list[tuple[str, int]]:
  """Reads a file of `relative/path label` lines.

  Raises:
    UserError: A line has another form, leaves the folder or repeats an image, or the file lists no
      image.
  """
  rows: dict[str, tuple[int, int]] = {}
  problems = []
  for place, line in enumerate(regular_files.read_text(path).split("\n"), 1):
    if not line.strip():
      continue
    name, _, label = line.strip().replace("\t", " ").rpartition(" ")
    name, value = inside(name), number(label, least=0)
    if name is None or value is None:
      problems.append(
        f"line {place}: {quoted(line.strip())} is not of the form 'relative/path label'"
      )
    elif name in rows:
      problems.append(f"line {place}: {shown(name)} is listed already (line {rows[name][1]})")
    else:
      rows[name] = value, place
  refuse(problems, shown(str(path)), "Restore the owner's list")
  if not rows:
    raise UserError(f"{shown(str(path))} lists no image")
  return [(name, value) for name, (value, _) in rows.items()]
