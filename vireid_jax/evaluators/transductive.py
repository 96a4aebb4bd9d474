"""The mark of transductive results, in which a ranked list depends on other test images.

Plain ranking compares a query with one gallery image at a time. A transductive technique also
looks at the rest of the gallery, or at the other queries, which a deployed system may not have.
Such results are never averaged or compared with plain ones, and have tables of their own.

The condition `transductive` of a result names its technique (None: ranked plainly), and the
condition of that name holds the technique's options. Records, tables and pages ask `of`, `kind` and
`label`. A new technique is an entry of `TECHNIQUES`, with `eval.<name>` and `eval.<name>_options`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

KEY = "transductive"
MEANING = "a query's list depends on other test images"
# Word in tables by name; the name also ends the names of settings, and is the key of the options.
TECHNIQUES = {
  "rerank": "re-ranked",
  "affinity": "affinity inference",
  "mser": "multi-spectral re-ranking",
}
WORDS = {
  "lambda_value": "lambda",
  "query_only": "among queries",
}  # options with other names in tables


class Ranker(Protocol):
  """Ranks several galleries for the same queries."""

  def similarity(self, gallery, similarity) -> np.ndarray:
    """Returns the similarity by which to rank.

    Args:
      gallery: float [g, d], features of the gallery.
      similarity: float [q, g], plain similarity from `similarity_matrix`.

    Returns:
      float [q, g], larger is closer.
    """
    ...


class Options(Protocol):
  """Options of a technique; a frozen dataclass.

  Attributes:
    name: Key of `TECHNIQUES`.
    cosine: Whether features are L2-normalised in any case.
  """

  name: str
  cosine: bool

  def of_setting(self, conditions: Mapping) -> "Options":
    """Returns the options for the setting with these conditions."""
    ...

  def ranker(self, query, *, normalize: bool) -> Ranker:
    """Returns a ranker for some queries, float [q, d]; `normalize` as in the evaluation."""
    ...


def condition(options: Options | None) -> dict[str, Any]:
  """Returns the conditions that mark a result: the technique's name and options, or neither."""
  found = {KEY: None, "rerank": None}
  return found | ({KEY: options.name, options.name: dataclasses.asdict(options)} if options else {})


def of(conditions: Mapping) -> str | None:
  """Returns the technique of a result by its conditions; None if it was ranked plainly.

  Records written before the mark have only the condition with the technique's options.
  """
  if KEY in conditions:
    return conditions[KEY]
  return next((name for name in TECHNIQUES if conditions.get(name)), None)


def marked(conditions: Mapping) -> dict[str, Any]:
  """Returns conditions with the mark, which records written before it lack."""
  return {**conditions, KEY: of(conditions)}


def kind(conditions: Mapping) -> str:
  """Returns the word for the technique of a result; '' if it was ranked plainly."""
  name = of(conditions) or ""
  if not isinstance(name, str):
    raise TypeError(f"{KEY} is {name!r}")  # of a damaged record
  return TECHNIQUES.get(name, name)


def label(conditions: Mapping) -> str:
  """Returns the technique and its options in words; '' for a result that was ranked plainly.

  Published options may differ between settings that share a row, so the words leave them out.
  """
  if not kind(conditions):
    return ""
  options = conditions.get(of(conditions)) or {}
  if options.get("published"):
    return f"transductive: {kind(conditions)} (published {', '.join(_numbers(options))})"
  words = [
    _words(WORDS.get(key, key), value) for key, value in options.items() if value is not False
  ]
  listed = f" ({', '.join(words)})" if words else ""
  return f"transductive: {kind(conditions)}{listed}"


def _numbers(options: Mapping) -> list[str]:
  return [WORDS.get(key, key) for key, value in options.items() if not isinstance(value, bool)]


def _words(key: str, value: Any) -> str:
  if value is True:
    return key
  return f"{key} {value:g}" if isinstance(value, int | float) else f"{key} {value}"
