"""Resolves the config of an evaluation: the checkpoint's, with the command's test set."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.config import checks, keys, with_tuples

# Keys that choose the evaluation. Any key that is neither here nor in TRAINING determines the
# network or its inputs, so that new keys are compared by default.
TEST_SET = ("eval", "data.name", "data.render", "data.trial", "data.dir", "data.placement")
# Keys that do not determine a feature. Of these an evaluation reads `log` only.
TRAINING = (
  *("seed", "pretrained", "sampler", "augment", "optim", "train", "checkpoint", "log"),
  *("data.train_splits", "data.drop_unpaired"),
)
UNREMARKED = ("checkpoint", "log")  # keys of TRAINING that are ignored without a notice


@dataclasses.dataclass(frozen=True)
class Resolved:
  """A resolved evaluation.

  Attributes:
    config: Whole config of the evaluation.
    mismatch: Allowed differences in the network's settings and inputs, as lines
      'key: checkpoint -> command'.
    ignored: Ignored differences in training settings, as such lines.
  """

  config: ConfigDict
  mismatch: tuple[str, ...] = ()
  ignored: tuple[str, ...] = ()


def resolve(
  stored: Mapping, given: ConfigDict | None = None, changes: Sequence[str] = ()
) -> Resolved:
  """Resolves the config of an evaluation.

  Args:
    stored: Config stored with the checkpoint, plain values.
    given: Config given on the command line, with its overrides; None for the stored one.
    changes: Overrides such as '--config.eval.flip=True', if no config is given.

  Returns:
    The command's test set, `eval` and `log`, and the checkpoint's other settings.

  Raises:
    UserError: The command changes the network's settings or inputs without `eval.allow_mismatch`.
  """
  own = of_checkpoint(stored)
  given = config_lib.override(own if given is None else given, changes)
  mismatch = config_lib.differences(seen(stored), seen(config_lib.to_dict(given)), free=())
  if mismatch and not given.eval.get("allow_mismatch", False):
    raise UserError(
      "the checkpoint's network was trained with other settings, so the results would be wrong "
      "(checkpoint -> command):\n  "
      + "\n  ".join(mismatch)
      + "\nLeave them out (without --config an evaluation takes all settings from the checkpoint), "
      "or set --config.eval.allow_mismatch=True to evaluate anyway"
    )
  _refuse_other_method(mismatch)
  return Resolved(
    _joined(own, given, take_all=bool(mismatch)),
    tuple(mismatch),
    tuple(_ignored(own, given)),
  )


def of_checkpoint(stored: Mapping) -> ConfigDict:
  """Returns the config stored with a checkpoint, with missing options of `eval` filled in."""
  config_lib.refuse_old(stored, "the checkpoint")
  config = ConfigDict(with_tuples(stored))
  defaults = config_lib.evaluation_defaults()
  for key in defaults:
    if key not in config.eval:
      config.eval[key] = defaults[key]
  config.eval.allow_mismatch = False  # set by the evaluating command only
  return config.lock()


def validate(config: ConfigDict) -> None:
  """Checks the settings that an evaluation reads, without training settings.

  Raises:
    UserError: As in `checks.validate`.
  """
  whole = config.to_dict()
  defaults = config_lib.default_config(whole["method"]["name"], "sysu_mm01").to_dict()
  whole |= {key: defaults[key] for key in TRAINING if key in defaults and key != "augment"}
  whole["augment"] = {**defaults["augment"], **whole["augment"]}
  checks.validate(ConfigDict(whole))


def seen(config: Mapping) -> dict:
  """Returns the settings that determine a feature: the method and the preprocessing of images.

  Args:
    config: Config as plain values, with lists or tuples.
  """
  config_lib.refuse_old(config, "the checkpoint")
  config = json.loads(json.dumps(config))
  operations = {
    modality: [str(text).replace(" ", "") for text in config["augment"].get(modality, ())]
    for modality in MODALITIES
  }
  method = config["method"]
  defaults = methods.defaults(method["name"]) if "name" in method else {}
  return {
    **{key: value for key, value in config.items() if key not in (*TEST_SET, *TRAINING)},
    "method": json.loads(json.dumps({**keys.flatten(defaults), **keys.flatten(method)})),
    "data": {
      key: value
      for key, value in config["data"].items()
      if f"data.{key}" not in (*TEST_SET, *TRAINING)
    },
    "augment": {
      modality: [text for text in texts if text.startswith("normalize")]
      for modality, texts in operations.items()
    },
  }


def _refuse_other_method(mismatch: Sequence[str]) -> None:
  for line in mismatch:
    if line.startswith("method.name: "):
      raise UserError(f"the checkpoint is of another method ({line}); leave --config out")


def _joined(own: ConfigDict, given: ConfigDict, *, take_all: bool) -> ConfigDict:
  """Returns `own` with the test set and log of `given`, with `take_all` also its network."""
  whole = own.to_dict()
  wanted = given.to_dict()
  whole["eval"] = {**whole["eval"], **wanted["eval"]}
  whole["log"] = wanted["log"]  # pictures of the evaluation go there
  taken = {key.removeprefix("data.") for key in TEST_SET if key.startswith("data.")}
  if take_all:
    taken |= {key for key in wanted["data"] if f"data.{key}" not in TRAINING}
    whole |= {key: wanted[key] for key in wanted if key not in ("eval", "data", *TRAINING)}
    whole["augment"] = wanted["augment"]
  # A key that the command leaves out, such as `render`, is not taken from the checkpoint either.
  kept = {key: value for key, value in whole["data"].items() if key not in taken}
  whole["data"] = kept | {key: value for key, value in wanted["data"].items() if key in taken}
  return ConfigDict(whole)


def _ignored(own: ConfigDict, given: ConfigDict) -> list[str]:
  old, new = config_lib.to_dict(own), config_lib.to_dict(given)
  return [
    line
    for line in config_lib.differences(old, new, free=UNREMARKED)
    if any(line.startswith((f"{key}:", f"{key}.")) for key in TRAINING)
  ]
