"""Shared defaults of the config files, their variants, and checks before anything compiles."""

import functools
import json
import pathlib
from collections.abc import Callable, Mapping

from ml_collections import ConfigDict

from vireid_jax import config_keys, methods, storage
from vireid_jax.errors import UserError, nearest, shown

AUGMENTATIONS = {
  "crop_flip": ("pad_crop(padding=10, fill=0)", "flip()", "normalize()"),
}

# What may differ between a checkpoint and the command that continues it: it changes how a run is
# watched or how long it lasts, not the steps already made.
FREE_TO_CHANGE = ("checkpoint", "data.dir", "data.placement", "eval", "log", "train.duration")


def default_config(method: str, dataset: str) -> ConfigDict:
  """Returns the config that every config file starts from.

  Args:
    method: module in `vireid_jax.methods`; all its options are filled in, so that each can be
      overridden on the command line.
    dataset: 'sysu_mm01', 'regdb', 'llcm', 'own' or 'vireid_synthetic'.

  Raises:
    UserError: an unknown method or data set.
  """
  if dataset not in DATASETS:
    raise UserError(f"unknown data set {shown(dataset)}; {nearest(dataset, DATASETS)}")
  config = ConfigDict()
  config.seed = 0
  config.init_from = ""  # a file or hub name of ImageNet weights; empty: random values
  config.data = ConfigDict(
    {
      "dir": "",  # empty: $TFDS_DATA_DIR or ~/tensorflow_datasets
      "image_size": (288, 144),
      "resize": "lanczos",
      "split": 1,  # fills {split} in train and test: RegDB's ten splits
      "render": "",  # a preset of the synthetic renderer stands in for the real images
      "drop_unpaired": False,
      "placement": "auto",  # of the training images: 'device', 'host', 'stream' (from disk)
    }
  )
  config.sampler = ConfigDict({"name": "pairs", "identities": 8, "images": 4})
  config.augment = ConfigDict(
    {
      "pair": (),  # first, on both images of a pair alike
      "visible": AUGMENTATIONS["crop_flip"],
      "infrared": AUGMENTATIONS["crop_flip"],
    }
  )
  config.method = ConfigDict({"name": method, **methods.defaults(method)})
  config.optim = _optimizer_defaults()
  config.train = ConfigDict(
    {
      "duration": "80 epochs",
      "accumulate": 1,  # blocks of identities, one after the other; losses see one block each
      "remat": "none",  # what is computed twice to save memory: see `vireid_jax.gradients`
    }
  )
  config.checkpoint = ConfigDict(
    {
      "every": "5 epochs",
      "keep": 2,  # the latest
      "keep_every": "",  # and those at multiples of this duration
      "keep_best": "",
    }
  )
  config.eval = evaluation_defaults()
  config.log = ConfigDict({"every": "50 steps", "tensorboard": True})
  DATASETS[dataset](config)
  return config


def _optimizer_defaults() -> ConfigDict:
  return ConfigDict(
    {
      "name": "sgd",
      "lr": 0.1,
      "lr_multipliers": {},
      "momentum": 0.9,
      "nesterov": True,
      "weight_decay": 5e-4,
      "no_decay": (),
      "update": "epoch",
      "warmup": "10 epochs",
      "decay_at": ("20 epochs", "50 epochs"),
      "decay_to": (0.1, 0.01),
    }
  )


def evaluation_defaults() -> ConfigDict:
  """Returns `eval` without a protocol."""
  return ConfigDict(
    {
      "every": "",
      "at_start": False,
      "quick": False,  # evaluations during training: trial 0 of the plain settings alone
      "batch": 128,
      "part": "test",
      "features": (),  # empty: the method's own; several share one pass over the images
      "normalize": True,
      "flip": False,
      "rerank": False,
      "rerank_options": {
        "k1": 20,
        "k2": 6,
        "lambda_": 0.3,
        "neighbours_among_queries": False,
      },
      "mixed": False,
      "verification": False,  # ROC and distances, in --mode=evaluate
      "corruption": {"draws": 0, "kinds": (), "severities": (1, 2, 3, 4, 5), "seed": 0},
      "allow_mismatch": False,  # evaluate although the network sees something else than in training
    }
  )


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
  config.data.train = ("train", "val")
  _sysu_protocol(config)


def _use_regdb(config: ConfigDict) -> None:
  config.data.name = "regdb"
  config.data.train = ("train_{split}",)
  config.eval.part = "test_{split}"
  config.eval.protocol = ConfigDict({"name": "regdb"})


def _use_llcm(config: ConfigDict) -> None:
  config.data.name = "llcm"
  config.data.train = ("train",)
  config.eval.protocol = ConfigDict({"name": "llcm", "trials": 10})


def use_own(config: ConfigDict) -> None:
  """Trains and tests on one's own pictures (docs/own_data.md); the settings stay as they are."""
  config.data.name = "own"
  config.data.train = ("train",)
  config.eval.part = "test"
  config.eval.protocol = ConfigDict(
    {
      "name": "cross_modality",
      "directions": ("infrared_to_visible", "visible_to_infrared"),
      "shots": 0,  # gallery pictures per identity and camera; 0: all
      "trials": 10,  # draws of that many shots
      "exclude_same_camera": "shared",
    }
  )


def _use_synthetic(config: ConfigDict) -> None:
  config.data.name = "vireid_synthetic/quick"
  config.data.train = ("train", "val")
  _sysu_protocol(config)


DATASETS: dict[str, Callable[[ConfigDict], None]] = {
  "sysu_mm01": _use_sysu_mm01,
  "regdb": _use_regdb,
  "llcm": _use_llcm,
  "own": use_own,
  "vireid_synthetic": _use_synthetic,
}


def smoke(config: ConfigDict) -> None:
  """Shrinks a config to seconds: a tiny network, four steps, rendered images in its protocol."""
  if config.data.name.startswith("vireid_synthetic"):
    config.data.name = "vireid_synthetic/smoke"
  else:
    config.data.render = "smoke"
  config.data.image_size = (48, 24)
  config.sampler.identities = 4
  config.sampler.images = 2
  config.method.depth = 18
  config.method.width = 8
  config.train.duration = "4 steps"
  config.checkpoint.every = "2 steps"
  config.eval.batch = 32
  config.log.every = "2 steps"
  if "trials" in config.eval.protocol:
    config.eval.protocol.trials = 2


def hold_out_val(config: ConfigDict) -> None:
  """Trains without the val identities and evaluates on them, to choose settings off the test."""
  config.data.train = ("train",)
  config.eval.part = "val"
  if "galleries" in config.eval.protocol:
    # The owner's gallery permutations cover the test identities only.
    config.eval.protocol.galleries = ("random_choice",)


def apply_variants(
  config: ConfigDict, arg: str, **variants: Callable[[ConfigDict], None]
) -> ConfigDict:
  """Applies the variants named behind the colon of `--config file.py:variant,variant`.

  Args:
    config: changed in place.
    arg: names separated by commas; may be empty. 'smoke' and 'own' always exist.
    **variants: name -> function that changes the config.

  Returns:
    The config.

  Raises:
    UserError: for an unknown variant.
  """
  variants = {"smoke": smoke, "own": use_own, **variants}
  for name in filter(None, arg.split(",")):
    if name not in variants:
      raise UserError(f"unknown config variant {name!r}; {nearest(name, variants)}")
    variants[name](config)
  return config


def build_up(*switches: str) -> dict[str, Callable[[ConfigDict], None]]:
  """Returns the variants of an ablation that adds a method's parts one after the other.

  Args:
    *switches: boolean options of the method, in the order in which they are added.

  Returns:
    'base', with none of them, and all but the last switch's name, with it and those before it. The
    config without a variant has them all.
  """

  def keep(count: int) -> Callable[[ConfigDict], None]:
    return lambda config: config.method.update(dict.fromkeys(switches[count:], False))

  return {name: keep(count) for count, name in enumerate(("base", *switches[:-1]))}


def method_variants(table: Mapping[str, Mapping]) -> dict[str, Callable[[ConfigDict], None]]:
  """Returns a variant per entry of a table: its name -> the method's options that it changes."""
  return {
    name: functools.partial(lambda config, options: config.method.update(options), options=options)
    for name, options in table.items()
  }


def validate(config: ConfigDict) -> None:
  """Checks whatever needs neither data nor devices, so that a typo shows at once.

  Raises:
    UserError: names the first key that is missing, unknown or wrong, and what is allowed.
  """
  from vireid_jax import config_checks  # it imports this module

  config_checks.check(config)


def needs_masks(config: ConfigDict) -> bool:
  """Says whether the method reads the data set's pedestrian masks."""
  method = methods.create(config.method, num_classes=2, steps_per_epoch=1)
  return getattr(method, "needs_masks", False)


def part(config: ConfigDict, text: str) -> str:
  """Fills {split} of a part's name: 'test_{split}' to 'test_3'."""
  return text.format(split=config.data.split)


def differences(old: dict, new: dict, free: tuple[str, ...] = FREE_TO_CHANGE) -> list[str]:
  """Lists where two configs differ in what a continued run may not change.

  Args:
    old, new: plain nested dictionaries.
    free: keys, or parents of keys, that do not count.

  Returns:
    A line 'key: old -> new' per difference, sorted; empty when the run may continue.
  """
  old, new = config_keys.flatten(old), config_keys.flatten(new)
  lines = []
  for key in sorted(old.keys() | new.keys()):
    before, after = old.get(key, "(absent)"), new.get(key, "(absent)")
    is_free = any(key == name or key.startswith(f"{name}.") for name in free)
    if before != after and not is_free:
      lines.append(f"{key}: {before!r} -> {after!r}")
  return lines


def to_dict(config: ConfigDict) -> dict:
  """Returns the config as JSON keeps it: plain dictionaries, lists for tuples."""
  return json.loads(config.to_json_best_effort())


def save(config: ConfigDict, path: pathlib.Path) -> None:
  """Writes the config as indented JSON."""
  storage.write_text(path, json.dumps(to_dict(config), indent=2, sort_keys=True) + "\n")
