"""Applies overrides `--config.key=value` to a config, with helpful errors."""

import contextlib
import copy
import re
import sys
from collections.abc import Iterator, Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from vireid_jax.common.errors import UserError, nearest, printable, shown
from vireid_jax.config import keys

_EXPECTED = {
  "bool": "True or False",
  "int": "a whole number",
  "float": "a number",
  "tuple": "values separated by commas, in quotes such as \"('a', 'b')\" or '(1, 2)'",
}


def override(config: ConfigDict, overrides: Sequence[str]) -> ConfigDict:
  """Returns a copy of a config with overrides, parsed as on the command line.

  Args:
    config: Config with all keys that may be overridden; not changed.
    overrides: Overrides such as '--config.eval.flip=True'.

  Raises:
    UserError: Unknown key, or a value of the wrong type.
  """
  if not overrides:
    return config
  values, argv = flags.FlagValues(), ["", *overrides]
  with user_errors_for_flags(values):
    config = admit(copy.deepcopy(config), argv)
    check(config, argv)
    held = config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
    unused = values(argv)[1:]
  if unused:
    raise UserError(f"unexpected argument {shown(unused[0])}; write --config.key=value")
  return held.value


@contextlib.contextmanager
def user_errors_for_flags(values: flags.FlagValues) -> Iterator[None]:
  """Turns absl's errors on a command line into UserErrors."""
  try:
    yield
  except flags.Error as error:
    raise UserError(_explain(str(error), values)) from None
  except (AttributeError, LookupError, TypeError, ValueError, SyntaxError) as error:
    raise UserError(f"--config: {printable(' '.join(str(error).split()))[:500]}") from None
  except (RecursionError, MemoryError):
    raise UserError("--config: a value is nested too deeply; give a simpler one") from None


def admit(config: ConfigDict, argv: Sequence[str]) -> ConfigDict:
  """Adds optional keys that overrides set and the config lacks; returns the config."""
  for key, default in keys.OPTIONAL.items():
    section, _, name = key.rpartition(".")
    inside = config.get(section)
    named = any(re.match(rf"--?config\.{re.escape(key)}(=|$)", text) for text in argv)
    if named and isinstance(inside, ConfigDict) and name not in inside:
      with inside.unlocked():
        inside[name] = default
  return config


def check(config: ConfigDict, argv: list[str]) -> None:
  """Raises UserError for an override of an unknown key."""
  tree = keys.plain(config)
  for text in argv:
    match = re.match(r"--?(?:no)?config\.([^=]*)", text, re.DOTALL)
    if match and not _holds(tree, match[1]):
      raise UserError(keys.unknown(match[1], keys.flatten(tree), option="--"))


def _holds(tree: dict, key: str) -> bool:
  for part in key.split("."):
    if not isinstance(tree, dict) or part not in tree:
      return False
    tree = tree[part]
  return True


def _explain(message: str, values: flags.FlagValues) -> str:
  unknown = re.match(r"Unknown command line flag '(.*?)'", message, re.DOTALL)
  if unknown:
    known = [f"--{name}" for name in _own_options()]
    name = f"--{unknown[1]}"
    return f"unknown option {printable(name)[:100]}; {nearest(name, known)}"
  table = re.match(r"flag --([\w.]+)=(.*?): Failed to parse .* ConfigDict", message, re.DOTALL)
  if table:
    allowed = "a dictionary in quotes such as \"{'backbone': 0.1}\""
    return f"--{table[1]} = {shown(table[2])}; allowed: {allowed}"
  wrong = re.match(r"flag --([\w.]+)=(.*?): (.*)$", message, re.DOTALL)
  if wrong:
    kind = values[wrong[1]].parser.flag_type() if wrong[1] in values else ""
    expected = f"allowed: {_EXPECTED[kind]}" if kind in _EXPECTED else printable(wrong[3])[:200]
    return f"--{wrong[1]} = {shown(wrong[2])}; {expected}"
  return printable(message)[:500]


def _own_options() -> list[str]:
  """Returns the names of this package's command-line options."""
  modules = flags.FLAGS.flags_by_module_dict()
  ours = [name for name in modules if "vireid_jax" in name or name == sys.argv[0]]
  names = {flag.name for module in ours for flag in modules[module]}
  return sorted(name for name in names if not name.startswith("config."))
