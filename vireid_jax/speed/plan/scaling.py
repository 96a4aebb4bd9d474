"""Strong scaling on paper: what devices send, and the share of a step that it would take."""

import itertools
from collections.abc import Iterator, Sequence

from vireid_jax.common import table
from vireid_jax.speed.plan import listing
from vireid_jax.speed.plan.facts import Plan

HEAD = (
  "config",
  "target",
  "devices",
  "images/device",
  "sent MB/device",
  "links ms",
  "step ms",
  "share",
)
NOTE = (
  "sent: what a ring sends for the collectives of a step; links: that at the published speed of "
  "the chip's links; share: of links in links and step, if nothing is computed meanwhile"
)


def markdown(plans: Sequence[Plan]) -> str:
  """Returns a Markdown table of the steps that were planned on several numbers of one chip.

  Args:
    plans: Any plans; those without such a partner are left out.

  Returns:
    The table and a note, or '' if there is no such step.
  """
  rows = [_row(plan) for plan in _comparable(plans)]
  return f"{table.markdown(list(HEAD), rows, 'llrrrrrr')}\n\n{NOTE}" if rows else ""


def sent_bytes(plan: Plan) -> float:
  """Returns the bytes that a device sends in a ring for the collectives of a step."""
  return sum(
    listing.sent(kind, each["bytes"], plan.devices) for kind, each in plan.collectives.items()
  )


def share(plan: Plan) -> float | None:
  """Returns the links' share of a step, in [0, 1]; None where the compiler estimates no time."""
  if plan.estimated_seconds is None or plan.estimated_collective_seconds is None:
    return None
  links = plan.estimated_collective_seconds
  return links / (links + plan.estimated_seconds)


def _comparable(plans: Sequence[Plan]) -> Iterator[Plan]:
  steps = [plan for plan in plans if plan.what == "step" and plan.collectives is not None]
  by_chip = sorted(steps, key=lambda plan: (plan.config, plan.chip, plan.devices))
  for _, group in itertools.groupby(by_chip, key=lambda plan: (plan.config, plan.chip)):
    same = list(group)
    if len({plan.devices for plan in same}) > 1:
      yield from same


def _row(plan: Plan) -> list[str]:
  links, step, part = plan.estimated_collective_seconds, plan.estimated_seconds, share(plan)
  return [
    plan.config,
    plan.target,
    str(plan.devices),
    f"{plan.images / plan.devices:g}",
    f"{sent_bytes(plan) / 1e6:,.1f}",
    "-" if links is None else f"{1e3 * links:,.2f}",
    "-" if step is None else f"{1e3 * step:,.1f}",
    "-" if part is None else f"{part:.1%}",
  ]
