"""Verification results of records as Markdown: rates at thresholds, and distances."""

from vireid_jax.common import table
from vireid_jax.common.errors import printable
from vireid_jax.evaluators.verification import FALSE_ACCEPT_RATES
from vireid_jax.report import naming, records


def markdown(items: list[str], *, step: int | None = None) -> str:
  """Lists TAR at FAR, thresholds and distances of all records that have them; '' if none has.

  Args:
    items: Workdirs, folders of workdirs, or globs.
    step: Step of the checkpoints; None for the latest.
  """
  found = lines(items, step=step)
  if not found:
    return ""
  head, *rest = found
  body = table.markdown(head, rest, "lll" + "r" * (len(head) - 3))
  return f"### Verification\n\n{body}\n\nrates in percent; thresholds on the similarity\n"


def lines(items: list[str], *, step: int | None = None) -> list[list[str]]:
  """Returns the same as lists of cells, the head first; [] if there are no results."""
  runs = [run for item in items for run in records.find(item, step=step)]
  names = naming.shortest([str(run.path.parent.parent) for run in runs]) if runs else {}
  found = [
    _line(_name(run, names), feature, pair, rates)
    for run in runs
    for feature, pairs in sorted(run.stored.get("verification", {}).items())
    for pair, rates in sorted(pairs.items())
  ]
  head = ["run", "feature", "pair"]
  head += [f"TAR at FAR {rate:g} (threshold)" for rate in FALSE_ACCEPT_RATES]
  return [[*head, "distance within", "distance between"], *found] if found else []


def _name(run: records.Run, names: dict[str, str]) -> str:
  """Returns the name of a run and of its record."""
  words = [names[str(run.path.parent.parent)], records.suffix(run)]
  return printable(" ".join(filter(None, words)))


def _line(name, feature, pair, found):
  rates = [found["tar"][f"{rate:g}"] for rate in FALSE_ACCEPT_RATES]
  numbers = [f"{100 * rate['tar']:.2f} ({rate['threshold']:.4f})" for rate in rates]
  spread = [found["distance"][side] for side in ("intra", "inter")]
  numbers += [f"{side['mean']:.3f} ± {side['std']:.3f}" for side in spread]
  return [name, feature, pair, *numbers]
