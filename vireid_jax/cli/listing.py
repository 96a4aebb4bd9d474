"""Lists methods, configs, data sets and protocols, with a line on each."""

import ast
import importlib
import itertools
import re
from collections.abc import Iterable, Mapping

from vireid_jax import methods
from vireid_jax.common import table
from vireid_jax.common.formats import Column
from vireid_jax.config import places
from vireid_jax.data import layout, preparing, synthetic
from vireid_jax.data.prepared import location
from vireid_jax.evaluators import protocols

COLUMNS = tuple(map(Column, ("kind", "name", "description", "folder")))


def entries(data_dir: str | None = None) -> list[dict[str, str]]:
  """Returns a row per method, config, data set and protocol.

  Args:
    data_dir: Root of the prepared data sets; None for the default.

  Returns:
    The values of `COLUMNS`; 'folder' is that of a prepared data set, else ''.
  """
  found = [
    ("method", name, _module_summary(f"{methods.__name__}.{name}"), "") for name in methods.names()
  ]
  found += [("config", name, _config_summary(name), "") for name in places.names()]
  found += [("data set", name, *_state(name, data_dir)) for name in dataset_names()]
  found += [
    ("protocol", name, _module_summary(f"{protocols.__name__}.{name}"), "")
    for name in protocols.names()
  ]
  return [dict(zip((column.name for column in COLUMNS), row, strict=True)) for row in found]


def listing(rows: Iterable[Mapping[str, str]]) -> str:
  """Returns the text of `vireid list`.

  Args:
    rows: Rows of `entries`.
  """
  return "\n\n".join(
    f"{kind}s:\n"
    + table.plain((), [(row["name"], row["description"]) for row in group], "ll", indent="  ")
    for kind, group in itertools.groupby(rows, key=lambda row: row["kind"])
  )


def dataset_names() -> list[str]:
  """Returns the names of all data sets, for `vireid prepare`."""
  rendered = [f"{preparing.SYNTHETIC}/{preset}" for preset in synthetic.PRESETS]
  return [*layout.READABLE, *rendered]


def _state(name: str, data_dir: str | None) -> tuple[str, str]:
  """Returns a data set's state in words, and its folder if it is prepared."""
  versions = location.prepared_versions(name, data_dir)
  if versions:
    return f"prepared in {versions[-1]}", str(versions[-1])
  if name.startswith(preparing.SYNTHETIC):
    return "not prepared; rendered when first used", ""
  return f"not prepared; {location.prepare_command(name, data_dir)}", ""


def _module_summary(module: str) -> str:
  return _first_sentence(importlib.import_module(module).__doc__)


def _config_summary(name: str) -> str:
  """Returns the first sentence of a config's docstring without running the file."""
  try:
    return _first_sentence(ast.get_docstring(ast.parse(places.find(name).read_bytes())))
  except (OSError, SyntaxError, ValueError, RecursionError) as error:
    return f"cannot be read: {type(error).__name__}"


def _first_sentence(text: str | None) -> str:
  """Returns the first sentence of a docstring on one line; empty without a docstring."""
  paragraph = (text or "").strip().partition("\n\n")[0]
  return re.split(r"(?<=\.)\s", paragraph)[0].replace("\n", " ")
