"""The result that stands for a run: the first setting of its plain record."""

import dataclasses

from vireid_jax.evaluators.results import SettingResult
from vireid_jax.report import records, tables
from vireid_jax.report.page.runs import PageRun


@dataclasses.dataclass(frozen=True)
class Headline:
  """The first plain result of a run.

  Attributes:
    record: Record with the result.
    setting: Name of the setting.
    result: Result.
  """

  record: records.Run
  setting: str
  result: SettingResult


def of_run(run: PageRun) -> Headline | None:
  """Returns a run's headline, from the record with the shortest name; None without a plain one."""
  for record in sorted(run.records, key=lambda record: (len(record.path.name), record.path.name)):
    for name, result in record.results.items():
      if result.trials and tables.kind(result.conditions) == "plain":
        return Headline(record, result.conditions.get("setting", name), result)
  return None


def before_training(found: Headline, run: PageRun) -> SettingResult | None:
  """Returns the same setting's result of the network before its first step; None without one."""
  if not found.record.stored["step"]:
    return None
  for record in records.of_workdir(run.workdir, 0):
    for name, result in record.results.items():
      here = result.conditions.get("setting", name)
      same = records.suffix(record) == records.suffix(found.record)
      if here == found.setting and result.trials and same:
        return result
  return None
