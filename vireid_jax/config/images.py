"""Training and test images of a config."""

from collections.abc import Mapping

from vireid_jax.config.compare import split_name
from vireid_jax.data import rendered
from vireid_jax.data.prepared.source import Dataset, ImageSet
from vireid_jax.data.training import pipeline
from vireid_jax.runtime import distributed


def open_dataset(config: Mapping) -> Dataset:
  """Opens the data set of a config; a missing rendered one is prepared first.

  Raises:
    UserError: The data set is not prepared; names the command that prepares it.
  """
  data = config["data"]
  distributed.in_turn(lambda: rendered.ensure(data))
  return Dataset(data["name"], rendered.data_dir(data))


def count_train_images(config: Mapping, dataset: Dataset) -> int:
  """Returns an upper bound on the number of training images, without reading any."""
  return dataset.count(*_train_splits(config))


def load_train_images(
  config: Mapping, dataset: Dataset, *, masks: bool = False, on_disk: bool = False
) -> ImageSet:
  """Reads the encoded training images.

  Args:
    config: Config; names the splits, and whether to drop identities with one modality only.
    dataset: The config's data set.
    masks, on_disk: Arguments of `Dataset.load`.

  Raises:
    UserError: As in `Dataset.load`.
  """
  images = dataset.load(*_train_splits(config), masks=masks, on_disk=on_disk)
  return pipeline.drop_unpaired(images) if config["data"]["drop_unpaired"] else images


def load_test_images(config: Mapping, dataset: Dataset, *, on_disk: bool = False) -> ImageSet:
  """Reads the encoded test images.

  Args:
    config: Config; names the split.
    dataset: The config's data set.
    on_disk: Argument of `Dataset.load`.

  Raises:
    UserError: As in `Dataset.load`.
  """
  return dataset.load(split_name(config, config["eval"]["split"]), on_disk=on_disk)


def _train_splits(config: Mapping) -> list[str]:
  return [split_name(config, text) for text in config["data"]["train_splits"]]
