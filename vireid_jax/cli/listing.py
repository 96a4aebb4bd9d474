"""Lists methods, configs, data sets and protocols, with a line on each."""

import ast
import importlib
import re

from vireid_jax import methods
from vireid_jax.common import table
from vireid_jax.config import places
from vireid_jax.data import layout, preparing, synthetic
from vireid_jax.data.prepared import location
from vireid_jax.evaluators import protocols


def listing(data_dir: str | None = None) -> str:
  """Returns the text of `vireid list`.

  Args:
    data_dir: Root of the prepared data sets; None for the default.
  """
  sections = {
    "methods": {name: _module_summary(f"{methods.__name__}.{name}") for name in methods.names()},
    "configs": {name: _config_summary(name) for name in places.names()},
    "data sets": {name: _state(name, data_dir) for name in dataset_names()},
    "protocols": {
      name: _module_summary(f"{protocols.__name__}.{name}") for name in protocols.names()
    },
  }
  return "\n\n".join(
    f"{title}:\n{table.plain((), entries.items(), 'll', indent='  ')}"
    for title, entries in sections.items()
  )


def dataset_names() -> list[str]:
  """Returns the names of all data sets, for `vireid prepare`."""
  rendered = [f"{preparing.SYNTHETIC}/{preset}" for preset in synthetic.PRESETS]
  return [*layout.READABLE, *rendered]


def _state(name: str, data_dir: str | None) -> str:
  versions = location.prepared_versions(name, data_dir)
  if versions:
    return f"prepared in {versions[-1]}"
  if name.startswith(preparing.SYNTHETIC):
    return "not prepared; rendered when first used"
  return f"not prepared; {location.prepare_command(name, data_dir)}"


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
