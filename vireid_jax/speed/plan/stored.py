"""Plans in a JSON file: a program is compiled again only if it or its compiler changed."""

import dataclasses
import json
import pathlib

from vireid_jax.common import files
from vireid_jax.common.errors import UserError
from vireid_jax.speed.plan.facts import Plan

OPTION = "--json"


class StoredPlans:
  """The plans of a file, which is written after each new one.

  Args:
    path: The file, which need not exist; None keeps the plans in memory alone.

  Raises:
    UserError: The file cannot be written, or holds something else.
  """

  def __init__(self, path: pathlib.Path | None):
    self._path = path
    self._plans: dict[tuple, Plan] = {}
    if path:
      files.check_file(path, OPTION)
      if path.exists():
        self._plans = {_key(plan): plan for plan in read(path)}

  def find(self, plan: Plan) -> Plan | None:
    """Returns the stored plan of the same program by the same compiler, or None.

    Args:
      plan: With the names, the program and the compiler filled in.
    """
    found = self._plans.get(_key(plan))
    same = found and (found.program, found.compiler) == (plan.program, plan.compiler)
    return found if same else None

  def add(self, plan: Plan) -> None:
    """Stores a plan in place of an earlier one of the same names, and writes the file."""
    self._plans[_key(plan)] = plan
    if self._path:
      with files.new_file(self._path, OPTION) as file:
        plans = sorted(self._plans.values(), key=_key)
        file.write(json.dumps([each.as_dict() for each in plans], indent=1).encode() + b"\n")


def read(path: pathlib.Path) -> list[Plan]:
  """Reads the plans of a file.

  Args:
    path: Path of the file, written with `--json`.

  Raises:
    UserError: It holds something else.
  """
  names = {field.name for field in dataclasses.fields(Plan)}
  try:
    entries = json.loads(path.read_bytes())
    return [Plan(**{k: v for k, v in entry.items() if k in names}) for entry in entries]
  except (ValueError, TypeError, AttributeError) as error:
    raise UserError(
      f"{OPTION} {path} exists and does not hold plans; choose another path, or remove it"
    ) from error


def _key(plan: Plan) -> tuple:
  return plan.config, plan.target, plan.what, plan.images or 0
