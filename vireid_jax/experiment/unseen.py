"""Refuses evaluations on identities that the network was trained on."""

import pathlib
from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.records import Records
from vireid_jax.data import rendered
from vireid_jax.data.prepared.source import Dataset

OWN = "own"  # users choose its identity numbers, so equal numbers need not be equal people
NAMED = 5  # people named in a message


def people(dataset: Dataset, identities) -> list[str]:
  """Returns the names of identities, for users' own images; otherwise their numbers as text.

  Args:
    dataset: Data set of the identities.
    identities: int [k].
  """
  names = dataset.metadata.get("identity_names") or {}
  return [names.get(str(number), str(number)) for number in np.asarray(identities).tolist()]


def check(stored: Mapping, config: ConfigDict, dataset: Dataset, records: Records) -> None:
  """Raises UserError if test images show identities that the network was trained on.

  Args:
    stored: Metadata of the checkpoint: 'config' of the training, plain values, 'identities' and,
      except in early versions, their names 'people'.
    config: Config of the evaluation.
    dataset: Data set of the test images.
    records: Records of the test images.

  Raises:
    UserError: Some identities were trained on; suggests another split.
  """
  if not is_same(stored, config.data, dataset):
    return
  tested = _named(stored, dataset, records.identities())
  known = sorted(_trained(stored) & set(tested.values()), key=lambda name: (len(name), name))
  if not known:
    return
  split = config_lib.split_name(config, config.eval.split)
  some = ", ".join(map(printable, known[:NAMED])) + (", ..." if len(known) > NAMED else "")
  raise UserError(
    f"the network was trained on {len(known)} of the {len(tested)} people in {split} of "
    f"{dataset.name} (identities {some}), so results on them would say nothing about unseen "
    f"people. {_advice(stored, config, dataset)}"
  )


def is_same(stored: Mapping, evaluated: Mapping, dataset: Dataset) -> bool:
  """Returns whether equal identity numbers mean equal people.

  Benchmarks number their identities, and the renderer numbers its own for all presets. Users' own
  images are the same data set if they are read from the same folder, or if its training splits have
  the same people.

  Args:
    stored: Metadata of the checkpoint, as for `check`.
    evaluated: 'data' of the evaluation's config.
    dataset: Data set that `evaluated` names.
  """
  trained = stored["config"]["data"]
  if _people(trained) != _people(evaluated):
    return False
  if _people(evaluated) != OWN or _place(trained) == _place(evaluated):
    return True
  splits = [config_lib.split_name(stored["config"], name) for name in trained["train_splits"]]
  if not set(splits) <= set(dataset.split_names()):
    return False
  found = dataset.load(*splits, on_disk=True).records.identities()
  return set(_named(stored, dataset, found).values()) == _trained(stored)


def _trained(stored: Mapping) -> set[str]:
  return set(stored.get("people") or map(str, stored["identities"]))


def _named(stored: Mapping, dataset: Dataset, identities: np.ndarray) -> dict[int, str]:
  """Returns the names of identities by number, in the form stored with the checkpoint."""
  named = people(dataset, identities) if stored.get("people") else map(str, identities.tolist())
  return dict(zip(identities.tolist(), named, strict=True))


def _people(data: Mapping) -> str:
  """Names the population of a data set; old configs have no `render`."""
  name = data["name"]
  if name.split("/")[0] == rendered.SYNTHETIC:
    return "rendered sysu_mm01"
  return f"rendered {name}" if data.get("render") else name


def _place(data: Mapping) -> pathlib.Path:
  return rendered.data_dir({"dir": data["dir"], "render": data.get("render", "")}).resolve()


def _advice(stored: Mapping, config: ConfigDict, dataset: Dataset) -> str:
  """Suggests a split without trained identities, the run's own first."""
  data, option = stored["config"]["data"], stored["config"]["eval"]["split"]
  own, asked = (
    config_lib.split_name(stored["config"], option),
    config_lib.split_name(config, config.eval.split),
  )
  names = sorted(dataset.split_names(), key=lambda name: (not name.startswith("test"), name))
  for name in dict.fromkeys([own, *names]):
    if name == asked or name not in dataset.split_names():
      continue
    found = dataset.load(name, on_disk=True).records.identities()
    if _trained(stored) & set(_named(stored, dataset, found).values()):
      continue
    same_text = "{trial}" in option and option == config.eval.split and name == own
    words = f"data.trial={data['trial']}" if same_text else f"eval.split={name}"
    return f"Evaluate on {name}: --config.{words}"
  return "No split of this data set is free of them"
