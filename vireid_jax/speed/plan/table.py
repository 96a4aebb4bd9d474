"""Plans as a table for a reader."""

from collections.abc import Sequence

from vireid_jax.common import table
from vireid_jax.speed.plan import scaling
from vireid_jax.speed.plan.facts import Plan

NOTE = (
  "ms and images/s are the compiler's own estimate of the instructions, without waiting for other "
  "devices or for data; nothing was run"
)
FEW = 3  # collectives that a remark describes
# Title of each column, and its text from a plan.
COLUMNS = (
  ("config", lambda p: p.config),
  ("target", lambda p: p.target),
  ("images/device", lambda p: _images(p)),
  ("memory GB", lambda p: _memory(p)),
  ("fits", lambda p: {True: "yes", False: "no", None: "-"}[p.fits]),
  ("GFLOP/image", lambda p: _show(p.flops_per_image, 1e-9, ",.1f")),
  ("MB/image", lambda p: _show(p.bytes_per_image, 1e-6, ",.0f")),
  ("collectives", lambda p: _collectives(p)),
  ("Mcycles", lambda p: _show(p.estimated_cycles, 1e-6, ",.2f")),
  ("ms", lambda p: _show(p.estimated_seconds, 1e3, ",.1f")),
  ("images/s", lambda p: _show(p.estimated_images_per_second, 1, ",.0f")),
  ("of FLOP peak", lambda p: _show(p.share_of_flop_floor, 1, ".0%")),
  ("links ms", lambda p: _show(p.estimated_collective_seconds, 1e3, ",.2f")),
  ("compile s", lambda p: _show(p.compile_seconds, 1, ",.0f")),
)


def document(plans: Sequence[Plan]) -> str:
  """Returns the table, and that of strong scaling if there are several sizes of one chip."""
  return "\n\n".join(filter(None, [markdown(plans), scaling.markdown(plans)]))


def markdown(plans: Sequence[Plan]) -> str:
  """Returns a Markdown table with a row per plan, errors and remarks below it."""
  head = [title for title, _ in COLUMNS]
  rows = [[read(plan) for _, read in COLUMNS] for plan in plans]
  align = "".join("l" if title in ("config", "target", "collectives") else "r" for title in head)
  return "\n".join([table.markdown(head, rows, align), *_remarks(plans)])


def _remarks(plans: Sequence[Plan]) -> list[str]:
  said = [f"{p.config} on {p.target} does not compile: {p.error}" for p in plans if p.error]
  said += [
    f"{p.config} on {p.target}: its batch of {p.scaled_from} images does not split over "
    f"{p.devices} devices with {p.images // p.devices} images each; {p.images} were planned"
    for p in plans
    if p.scaled_from
  ]
  said += [f"{p.config} on {p.target}: {remark}" for p in plans for remark in _waste(p)]
  if any(p.estimated_cycles for p in plans):
    said.append(NOTE)
  return ["", *said] if said else []


def _waste(plan: Plan) -> list[str]:
  """Describes what a step should not hold; see `waste`."""
  said = []
  if sent := plan.unwanted_collectives:
    first = sorted(set(sent))[:FEW]
    more = f" ... ({len(sent)} in all)" if len(sent) > FEW else ""
    said.append(f"sends more than sums, labels and features: {'; '.join(first)}{more}")
  if plan.chip != "CPU" and plan.float32_convolutions:
    said.append(f"{plan.float32_convolutions} convolutions read float32")
  if plan.host_transfers:
    said.append(f"{plan.host_transfers} exchanges with the host")
  if plan.donated_bytes and plan.reused_bytes < plan.donated_bytes:
    kept = plan.donated_bytes - plan.reused_bytes
    said.append(f"{kept / 1e6:,.1f} MB of the state are copied instead of updated in place")
  if plan.chip != "CPU" and plan.image_copies:
    cycles = sum(each["cycles"] or 0 for each in plan.image_copies)
    spent = f" of {cycles / 1e6:,.2f} Mcycles" if cycles else ""
    said.append(f"{len(plan.image_copies)} copies{spent} change the layout of images or maps")
  return said


def _images(plan: Plan) -> str:
  return "-" if plan.images is None else f"{plan.images / plan.devices:g}"


def _memory(plan: Plan) -> str:
  if plan.peak_bytes is None:
    return "-"
  limit = f" of {plan.memory_limit_bytes / 1e9:.0f}" if plan.memory_limit_bytes else ""
  return f"{plan.peak_bytes / 1e9:.2f}{limit}"


def _collectives(plan: Plan) -> str:
  if not plan.collectives:
    return "-" if plan.collectives is None else "none"
  return ", ".join(
    f"{each['count']} {kind} {each['bytes'] / 1e6:,.1f} MB"
    for kind, each in sorted(plan.collectives.items())
  )


def _show(value: float | None, factor: float, form: str) -> str:
  return "-" if value is None else format(factor * value, form)
