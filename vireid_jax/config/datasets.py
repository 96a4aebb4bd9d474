"""The changes to a config for each data set."""

from collections.abc import Callable

from ml_collections import ConfigDict


def _sysu_protocol(config: ConfigDict) -> None:
  config.eval.protocol = ConfigDict(
    {
      "name": "sysu_mm01",
      "modes": ("all", "indoor"),
      "shots": (1, 10),
      "trials": 10,
      "galleries": ("random_choice", "official"),
    }
  )


def _use_sysu_mm01(config: ConfigDict) -> None:
  config.data.name = "sysu_mm01"
  config.data.train_splits = ("train", "val")
  _sysu_protocol(config)


def _use_regdb(config: ConfigDict) -> None:
  config.data.name = "regdb"
  config.data.train_splits = ("train_{trial}",)
  config.eval.split = "test_{trial}"
  config.eval.protocol = ConfigDict({"name": "regdb"})


def _use_llcm(config: ConfigDict) -> None:
  config.data.name = "llcm"
  config.data.train_splits = ("train",)
  config.eval.protocol = ConfigDict(
    {
      "name": "llcm",
      "trials": 10,
      "llcm_direction": "standard",  # "deen_release" exchanges the roles of visible queries
    }
  )


def use_own(config: ConfigDict) -> None:
  """Trains and tests on the user's own images (docs/own_data.md); other settings are unchanged."""
  config.data.name = "own"
  config.data.train_splits = ("train",)
  config.train.steps_per_epoch = 0
  config.eval.split = "test"
  config.eval.protocol = ConfigDict(
    {
      "name": "cross_modality",
      "directions": ("infrared_to_visible", "visible_to_infrared"),
      "shots": 0,  # gallery images per identity and camera; 0: all
      "trials": 10,  # gallery draws, if shots is not 0
      "exclude_same_camera": "shared",
    }
  )


def _use_synthetic(config: ConfigDict) -> None:
  config.data.name = "vireid_synthetic/quick"
  config.data.train_splits = ("train", "val")
  _sysu_protocol(config)


DATASETS: dict[str, Callable[[ConfigDict], None]] = {
  "sysu_mm01": _use_sysu_mm01,
  "regdb": _use_regdb,
  "llcm": _use_llcm,
  "own": use_own,
  "vireid_synthetic": _use_synthetic,
}
