"""The result of an evaluation in one line."""

from collections.abc import Mapping

from vireid_jax.evaluators.results import SettingResult


def headline(
  results: Mapping[str, SettingResult], untrained: Mapping[str, Mapping[str, float]] | None = None
) -> str:
  """Returns rank-1 and mAP of the first setting that was run and ranked plainly, in percent.

  Args:
    results: Results by setting; the first is the one that is usually quoted.
    untrained: Rates in [0, 1] before training, by setting and metric, as far as they are known.

  Returns:
    For example 'rank-1 39.6 % (untrained 1.8), mAP 42.6 %, all-search single-shot, 10 galleries';
    empty if there is none.
  """
  for name, result in results.items():
    if result.trials and not result.is_transductive:
      mean, before = result.mean, (untrained or {}).get(name, {})
      first = f"rank-1 {100 * mean['rank-1']:.1f} %"
      if "rank-1" in before:
        first += f" (untrained {100 * before['rank-1']:.1f})"
      return ", ".join([first, f"mAP {100 * mean['mAP']:.1f} %", *_setting(name, result)])
  return ""


def _setting(name: str, result: SettingResult) -> list[str]:
  """Returns the setting in the field's words; its name if they do not say everything."""
  given = result.conditions
  words = [f"{given['mode']}-search"] if "mode" in given else []
  if "shots" in given:
    words.append("single-shot" if given["shots"] == 1 else f"{given['shots']}-shot")
  if "direction" in given:
    words.append(str(given["direction"]).replace("_", " "))
  if given.get("gallery") == "official":
    words.append("official draw")
  count = len(result.trials)
  return [" ".join(words) or name, "1 gallery" if count == 1 else f"{count} galleries"]
