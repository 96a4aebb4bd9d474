"""Spread over seeds: runs that differ in nothing but the seed."""

import dataclasses

import numpy as np

from vireid_jax.config import differences
from vireid_jax.report import records
from vireid_jax.report.page import figures
from vireid_jax.report.page.headline import Headline
from vireid_jax.report.page.queries import TILES


@dataclasses.dataclass(frozen=True)
class Group:
  """Runs that differ in the seed, or in RegDB's trial.

  Attributes:
    label: Label of the first run.
    setting: Setting of the results.
    units: (seed, trial) of each run, ascending.
    rates: float64 [runs] in [0, 1] for each name of `TILES`.
  """

  label: str
  setting: str
  units: list[tuple[int, int]]
  rates: dict[str, np.ndarray]


def group(found: dict[str, Headline]) -> list[Group]:
  """Groups runs by everything but seed and trial; a group has two runs at least."""
  groups: list[list[tuple[str, Headline]]] = []
  for label, one in found.items():
    for members in groups:
      if _alike(members[0][1], one) and one.record.unit not in (m.record.unit for _, m in members):
        members.append((label, one))
        break
    else:
      groups.append([(label, one)])
  return [_group(members) for members in groups if len(members) > 1]


def _alike(first: Headline, other: Headline) -> bool:
  if first.setting != other.setting:
    return False
  return not differences(first.record.settings, other.record.settings, free=records.FREE)


def _group(members: list[tuple[str, Headline]]) -> Group:
  members = sorted(members, key=lambda member: member[1].record.unit)
  return Group(
    members[0][0],
    members[0][1].setting,
    [one.record.unit for _, one in members],
    {name: np.array([one.result.mean[name] for _, one in members]) for name in TILES},
  )


def draw(groups: list[Group], folder: figures.Folder) -> list[figures.Drawn]:
  """Draws a figure per group: a dot per run, a line at the mean."""
  return [_draw(each, folder) for each in groups]


def _draw(found: Group, folder: figures.Folder) -> figures.Drawn:
  with figures.style():
    figure, axes = figures.new()
    for position, rates in enumerate(found.rates.values()):
      offsets = np.linspace(-0.15, 0.15, len(rates))
      axes.plot(position + offsets, 100 * rates, "o", markersize=6, color=figures.COLORS[0])
      axes.hlines(100 * rates.mean(), position - 0.25, position + 0.25, figures.COLORS[1])
    ticks = [
      f"{name}\n{100 * rates.mean():.2f} ± {100 * rates.std():.2f}"
      for name, rates in found.rates.items()
    ]
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(title=found.setting, ylabel="%", xlim=(-0.5, len(ticks) - 0.5))
    axes.grid(axis="x", visible=False)
  trials = {trial for _, trial in found.units} - {0}
  units = [
    f"seed {seed}" + (f" trial {trial}" if trial else "") if len(trials) > 1 else f"seed {seed}"
    for seed, trial in found.units
  ]
  caption = f"{found.label} and others: {', '.join(units)}, from left to right; line: mean"
  text = f"Spread over {len(units)} runs, {found.setting}: " + "; ".join(
    f"{name} {100 * rates.mean():.2f} ± {100 * rates.std():.2f} %"
    for name, rates in found.rates.items()
  )
  return folder.save(figure, f"seeds {found.label}", text=text, caption=caption)
