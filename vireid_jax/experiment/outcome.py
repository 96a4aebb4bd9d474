"""Training from Python, and its outcome."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import report
from vireid_jax.common import files
from vireid_jax.common.errors import UserError, shown
from vireid_jax.common.records import MODALITIES
from vireid_jax.config.images import load_test_images, open_dataset
from vireid_jax.data.prepared import cache
from vireid_jax.evaluators.results import SettingResult
from vireid_jax.experiment import train as train_lib
from vireid_jax.retrieval.model import check_modality
from vireid_jax.retrieval.trained import find_checkpoint
from vireid_jax.runtime import compilation


@dataclasses.dataclass(frozen=True)
class Pictures:
  """Test images of one modality, decoded.

  Attributes:
    pixels: uint8 [n, height, width, 3], RGB, at the network's input size.
    identities: int32 [n], identity numbers of the data set.
    cameras: int32 [n], camera numbers of the data set.
    names: str [n], paths in the data set.
  """

  pixels: np.ndarray
  identities: np.ndarray
  cameras: np.ndarray
  names: np.ndarray

  def __len__(self) -> int:
    return len(self.pixels)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """The outcome of training; it prints as the table of the last step.

  Attributes:
    workdir: Folder of the run, for `vireid_jax.load`.
    results: Results of the final evaluation by setting; rates in [0, 1].
  """

  workdir: pathlib.Path
  results: Mapping[str, SettingResult]

  def __str__(self) -> str:
    return report.render([str(self.workdir)])

  def test_images(self, modality: str) -> Pictures:
    """Returns the test images of a modality.

    Args:
      modality: 'visible' or 'infrared'.

    Raises:
      UserError: Unknown modality, or the data set is no longer available.
    """
    check_modality(modality)
    config = find_checkpoint(self.workdir).config
    images = load_test_images(config, open_dataset(config))
    images = images.take(np.flatnonzero(images.records.modality == MODALITIES.index(modality)))
    data, records = config["data"], images.records
    pixels = cache.fill(images, tuple(data["image_size"]), data["resize"])
    return Pictures(pixels, records.identity, records.camera, records.name)


def train(config: ConfigDict | str | os.PathLike, workdir: str | os.PathLike) -> Outcome:
  """Trains and evaluates like the command; see `vireid_jax.train`."""
  folder = files.folder_named(os.fspath(workdir), "workdir")
  config = _read(config)
  compilation.use_cache()
  return Outcome(folder, train_lib.train(config, folder))


def _read(config: ConfigDict | str | os.PathLike) -> ConfigDict:
  if isinstance(config, ConfigDict):
    return config
  if isinstance(config, str | os.PathLike):
    return config_lib.load(os.fspath(config))
  raise UserError(
    f"config is {shown(config)}; give a name such as 'mun_synthetic:smoke', the path of a config "
    "file, or the ConfigDict that vireid_jax.config.load returns"
  )
