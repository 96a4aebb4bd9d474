"""Only methods, their configs and what reads weights know the name of a method."""

import pathlib
import re

import pytest

import vireid_jax
from vireid_jax import methods

ROOT = pathlib.Path(vireid_jax.__file__).parent
# The trainer, the data layer, the evaluators, and what puts a run together.
ROOMS = ("common", "data", "evaluators", "experiment", "runtime", "training")
NAMES = re.compile(rf"\b({'|'.join(methods.names())}|cajplus|caj\+)(?![a-z0-9_])", re.IGNORECASE)


def named_in(folder):
  """Returns 'file:line: text' of every line that names a method, docstrings included."""
  return [
    f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
    for path in sorted(folder.rglob("*.py"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    if NAMES.search(line)
  ]


@pytest.mark.parametrize("room", ROOMS)
def test_no_line_names_a_method(room):
  assert list((ROOT / room).rglob("*.py"))
  assert named_in(ROOT / room) == []


def test_names_are_found_where_they_belong():
  assert any("caj.py" in line for line in named_in(ROOT / "methods"))
  assert any("deen" in line for line in named_in(ROOT / "models"))
