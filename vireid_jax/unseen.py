"""Numbers on people whom the network was trained on are no numbers: they are refused."""

import pathlib
from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.data import rendered
from vireid_jax.data.schema import Records
from vireid_jax.data.source import Dataset
from vireid_jax.errors import UserError

OWN = "own"  # its numbers are each owner's own choice, so that its name says little
NAMED = 5  # people in a message


def check(
  trained: Mapping, identities, config: ConfigDict, dataset: Dataset, records: Records
) -> None:
  """Refuses test images that show people whom the network was trained on.

  Args:
    trained: the config of the training, plain values.
    identities: int [k], the people of the training, by their owner's numbers.
    config: of the evaluation.
    dataset: that holds the test images.
    records: of the test images.

  Raises:
    UserError: some were trained on; names a part of the data set that would do.
  """
  if not is_same(trained["data"], identities, config.data, dataset):
    return
  known = np.intersect1d(np.asarray(identities), records.identity)
  if not len(known):
    return
  part = config_lib.part(config, config.eval.part)
  some = ", ".join(map(str, known[:NAMED])) + (", ..." if len(known) > NAMED else "")
  raise UserError(
    f"the network was trained on {len(known)} of the {len(records.identities())} people in "
    f"{part} of {dataset.name} (identities {some}), so results on them would say nothing about "
    f"people it has not seen. {_advice(trained, identities, config, dataset)}"
  )


def is_same(trained: Mapping, identities, evaluated: Mapping, dataset: Dataset) -> bool:
  """Says whether equal identity numbers mean equal people.

  Benchmarks are numbered by their owners, and rendered people by the renderer, whatever the preset.
  One's own pictures are the same data set where they are read from the same place, or where the
  training parts there hold the same numbers.

  Args:
    trained: 'data' of the training's config.
    identities: of the training.
    evaluated: 'data' of the evaluation's config.
    dataset: that `evaluated` names.
  """
  if _people(trained) != _people(evaluated):
    return False
  if _people(evaluated) != OWN or _place(trained) == _place(evaluated):
    return True
  parts = [part.format(split=trained["split"]) for part in trained["train"]]
  if not set(parts) <= set(dataset.part_names()):
    return False
  found = dataset.load(*parts, on_disk=True).records.identities()
  return np.array_equal(found, np.unique(identities))


def _people(data: Mapping) -> str:
  """Names who is in a data set; configs from before `render` have none."""
  name = data["name"]
  if name.split("/")[0] == rendered.SYNTHETIC:
    return "rendered sysu_mm01"
  return f"rendered {name}" if data.get("render") else name


def _place(data: Mapping) -> pathlib.Path:
  return rendered.data_dir({"dir": data["dir"], "render": data.get("render", "")}).resolve()


def _advice(trained: Mapping, identities, config: ConfigDict, dataset: Dataset) -> str:
  """Names a part without the training's people, the run's own first."""
  data, option = trained["data"], trained["eval"]["part"]
  own, asked = option.format(split=data["split"]), config_lib.part(config, config.eval.part)
  names = sorted(dataset.part_names(), key=lambda name: (not name.startswith("test"), name))
  for name in dict.fromkeys([own, *names]):
    if name == asked or name not in dataset.part_names():
      continue
    if np.isin(dataset.load(name, on_disk=True).records.identity, identities).any():
      continue
    same_text = "{split}" in option and option == config.eval.part and name == own
    words = f"data.split={data['split']}" if same_text else f"eval.part={name}"
    return f"Evaluate on {name}: --config.{words}"
  return "No part of this data set is free of them"
