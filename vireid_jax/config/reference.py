"""The reference of all config keys, in Markdown: docs/config.md is made of it."""

import dataclasses
import re

from vireid_jax import methods
from vireid_jax.common import options
from vireid_jax.common.durations import Duration
from vireid_jax.config import checks
from vireid_jax.config.descriptions import DESCRIPTIONS
from vireid_jax.data.training import augment
from vireid_jax.evaluators import protocols

HEAD = """# Config reference

Made by `vireid list config`; a test compares the two. Every key can be set in a config file and on
the command line: `--config mun_sysu --config.optim.lr=0.05`. A *duration* is a number and a unit:
`10 epochs`, `2000 steps`, `500000 examples`.
"""
# In the order in which a reader meets them.
SECTIONS = (
  *("seed", "pretrained", "data", "sampler", "augment", "method", "numerics", "optim", "train"),
  *("checkpoint", "eval", "log"),
)
COLUMNS = "| key | default | allowed | what it is |\n|---|---|---|---|"


def markdown() -> str:
  """Returns the whole page: common keys, each method's options, augmentations and protocols."""
  blocks = [HEAD]
  known = checks.options()
  for section in SECTIONS:
    keys = [key for key in DESCRIPTIONS if key.startswith(f"{section}.") or key == section]
    common = [_row(key, known[key], DESCRIPTIONS[key]) for key in keys]
    blocks.append(_table(f"## {section}", common))
    blocks += _details(section)
  return "\n".join(blocks)


def _details(section: str) -> list[str]:
  """Returns what can be named in a section, with the options of each."""
  if section == "augment":
    return [_operations()]
  if section == "method":
    return [_table(f"### {name}", rows(methods.find(name), "method.")) for name in methods.names()]
  if section == "eval":
    return [
      _table(f"### Protocol {name}", rows(protocols.find(name), "eval.protocol."))
      for name in protocols.names()
    ]
  return []


def method_options(name: str) -> dict[str, options.Option]:
  """Returns the options of a method by flat name, such as 'metric.weight'."""
  return _flat(methods.find(name))


def rows(owner: type, prefix: str) -> list[str]:
  """Returns a row per option of a method's or protocol's dataclass, described by its docstring."""
  texts = _descriptions(owner)
  return [_row(f"{prefix}{key}", option, texts[key]) for key, option in _flat(owner).items()]


def _flat(owner: type) -> dict[str, options.Option]:
  found = {}
  for key, option in options.declared(owner).items():
    if key in methods.GIVEN:
      continue
    if dataclasses.is_dataclass(option.default):
      inside = _flat(type(option.default))
      for name, each in inside.items():
        found[f"{key}.{name}"] = dataclasses.replace(each, default=getattr(option.default, name))
    else:
      found[key] = option
  return found


def _descriptions(owner: type) -> dict[str, str]:
  """Returns by flat name what the docstring's 'Attributes:' say."""
  _, _, block = (owner.__doc__ or "").partition("Attributes:\n")
  found: dict[str, str] = {}
  for text in re.split(r"\n(?=    \w)", block.rstrip()):
    names, _, words = text.strip().partition(":")
    for name in names.split(","):
      found[name.strip()] = " ".join(words.split())
  for key, option in options.declared(owner).items():
    if dataclasses.is_dataclass(option.default):
      inside = _descriptions(type(option.default))
      found |= {f"{key}.{name}": words for name, words in inside.items()}
  return found


def _operations() -> str:
  """Returns the augmentations and their arguments."""
  lines = ["### Operations\n", "| operation | arguments | what it does |\n|---|---|---|"]
  for name, function in augment.OPERATIONS.items():
    arguments = [f"`{key}={each.default!r}`" for key, each in options.declared(function).items()]
    summary = (function.__doc__ or "").strip().partition("\n\n")[0]
    lines.append(f"| `{name}` | {', '.join(arguments)} | {_cell(' '.join(summary.split()))} |")
  return "\n".join(lines) + "\n"


def _table(title: str, lines: list[str]) -> str:
  return "\n".join([f"{title}\n", COLUMNS, *lines, ""])


def _row(key: str, option: options.Option, text: str) -> str:
  return f"| `{key}` | `{_cell(repr(option.default))}` | {_cell(allowed(option.rule))} | {text} |"


def allowed(rule: options.Rule) -> str:
  """Says in a few words what a rule accepts."""
  if isinstance(rule, Duration):
    return "a duration"
  if isinstance(rule, options.Text):
    return "text"
  if isinstance(rule, options.Several):
    return f"several: {allowed(rule.each)}"
  if isinstance(rule, options.Whole) and rule.low < 0:
    return "a whole number"
  return rule.allowed


def _cell(text: str) -> str:
  return text.replace("|", "\\|")
