"""Checks of a whole config before anything compiles or is decoded.

A method declares the rules of its options in its dataclass; augmentations and protocols declare
theirs with their arguments. The table here has all other rules; a key without a rule must have the
type of its default.
"""

import contextlib
import string
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from vireid_jax import methods
from vireid_jax.common.durations import Duration
from vireid_jax.common.errors import UserError, nearest, shown
from vireid_jax.common.options import (
  LARGEST_SEED,
  Number,
  OneOf,
  Option,
  Path,
  Rule,
  Several,
  Text,
  Whole,
  declared,
  inferred,
)
from vireid_jax.common.records import MODALITIES, SECOND_VIEW
from vireid_jax.config import defaults as defaults_lib
from vireid_jax.config import keys, moved, parts
from vireid_jax.data import corruptions, rendered, synthetic
from vireid_jax.data.training import augment, placement, sampler
from vireid_jax.evaluators.checks import MOST
from vireid_jax.evaluators.embed import feature_methods
from vireid_jax.evaluators.results import METRICS
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.weights import hub
from vireid_jax.training import gradients, optim
from vireid_jax.training.hooks import weights_and_biases


class SplitName(Text):
  """The name of a split of a data set; {trial} in it is replaced by config.data.trial."""

  allowed = "the name of a split of the data set, in which {trial} stands for config.data.trial"

  def accepts(self, value: Any) -> bool:
    """See `options.Rule`."""
    if not super().accepts(value) or not value:
      return False
    try:
      fields = [field for _, *field in string.Formatter().parse(value)]
    except ValueError:  # a single brace
      return False
    return all(name is None or (name, *rest) == ("trial", "", None) for name, *rest in fields)


# The network halves an image's sides four times.
IMAGE_SIDE = Whole(16, 4096)
NAME = Text(empty=False)
AUGMENTED = ("pair", *MODALITIES, SECOND_VIEW)
RULES: dict[str, Rule] = {
  "seed": Whole(0, LARGEST_SEED),
  "pretrained": Path(),
  "data.dir": Path(),
  "data.name": NAME,
  "data.train_splits": Several(SplitName(), least=1, distinct=True),
  "data.image_size": Several(IMAGE_SIDE, least=2, most=2),
  "data.resize": OneOf("lanczos", "bilinear"),
  "data.render": OneOf("", *synthetic.PRESETS),
  "data.trial": Whole(1, 1000),
  "sampler.name": OneOf(sampler.SAMPLERS, noun="sampler"),
  "sampler.num_identities": Whole(2, 4096),
  "sampler.num_instances": Whole(1, 4096),
  **{f"augment.{name}": Several(NAME) for name in AUGMENTED},
  "method.name": NAME,
  **{f"numerics.{name}": option.rule for name, option in declared(Numerics).items()},
  **optim.RULES,
  "train.duration": Duration(),
  "train.steps_per_epoch": Whole(0, 1_000_000),
  "train.accumulate": Whole(1, 4096),
  "train.remat": OneOf(gradients.REMAT),
  "checkpoint.every": Duration(),
  "checkpoint.keep": Whole(1, 1_000_000),
  "checkpoint.keep_every": Duration(),
  "eval.every": Duration(),
  "eval.batch": Whole(1, 65_536),
  "eval.split": SplitName(),
  "eval.features": Several(NAME, distinct=True),
  "eval.rerank_options.k1": Whole(1, MOST),
  "eval.rerank_options.k2": Whole(1, MOST),
  "eval.rerank_options.lambda_value": Number(0, 1),
  "eval.affinity_options.k1": Whole(0, MOST),
  "eval.affinity_options.k2": Whole(0, MOST),
  "eval.mser_options.k1": Whole(1, MOST),
  "eval.mser_options.k2": Whole(1, MOST),
  "eval.mser_options.lambda_value": Number(0, 1),
  "eval.corruption.draws": Whole(0, 1000),
  "eval.corruption.kinds": Several(OneOf(corruptions.KINDS, noun="corruption"), distinct=True),
  "eval.corruption.severities": Several(OneOf(corruptions.SEVERITIES), least=1, distinct=True),
  "eval.corruption.seed": Whole(0, LARGEST_SEED - 1000),
  "eval.protocol.name": NAME,
  "log.every": Duration(),
}
# Sections whose keys depend on their name; see `methods.create` and `protocols.create`.
OPEN = ("method", "eval.protocol")


def validate(config: ConfigDict) -> None:
  """Checks each key, then what several keys must satisfy together.

  Raises:
    UserError: A key or value is not allowed; names the key, its value and what is allowed.
  """
  check_keys(config)
  placement.check(config.data.placement)
  gradients.check(config.train.remat, config.train.accumulate, config.sampler.num_identities)
  check_pretrained(config.pretrained)
  clock = parts.make_clock(config, 1)
  optim.create(config.optim, optim.make_schedule(config.optim, clock))
  method = parts.make_method(config, num_classes=2, steps_per_epoch=1)
  with prefixed("config.numerics.dtype"):
    _ = method.numerics.compute_dtype
  _check_evaluation(config, method)
  _check_augmentations(config)
  _check_second_view(config, method)
  _check_sampler(config, method)
  _check_rendered(config)
  if config.log.wandb:
    weights_and_biases.check()


def check_keys(config: ConfigDict) -> None:
  """Checks that a config has the keys of `default_config`, with allowed values."""
  tree, known = keys.plain(config), options()
  flat = keys.flatten(tree, whole=known)
  for key in flat:
    if key not in known and not key.startswith(tuple(f"{name}." for name in OPEN)):
      inside = sorted(name[len(key) + 1 :] for name in known if name.startswith(f"{key}."))
      if inside:
        raise UserError(
          f"config.{key} is {shown(flat[key])}; allowed: a section of {', '.join(inside)}"
        )
      raise UserError(keys.unknown(key, known))
  _refuse_moved_options(tree["method"])
  for key, option in known.items():
    if key not in flat and key in keys.OPTIONAL:
      continue
    if key not in flat:
      raise UserError(
        f"config.{key} is missing; start from config.default_config, which has "
        f"{shown(option.default)} there"
      )
    option.check(f"config.{key}", flat[key])


def _refuse_moved_options(method: dict) -> None:
  """Raises UserError for an option of an earlier version."""
  known = methods.defaults(method["name"]) if isinstance(method.get("name"), str) else method
  for key in keys.flatten(method):
    reason = "" if key.partition(".")[0] in (*known, "name") else moved.explain(f"method.{key}")
    if reason:
      raise UserError(f"config.method.{key}: no such key; {reason}")


def options() -> dict[str, Option]:
  """Returns the options of all keys except those of methods and protocols, by flat name."""
  defaults = keys.plain(defaults_lib.default_config("agw", "sysu_mm01"))
  flat = keys.flatten(defaults, whole=RULES) | keys.OPTIONAL
  return {
    key: Option(RULES.get(key) or inferred(default), default)
    for key, default in flat.items()
    if key in RULES or not key.startswith(tuple(f"{name}." for name in OPEN))
  }


def _check_evaluation(config: ConfigDict, method: methods.Method) -> None:
  parts.make_suite(config)
  parts.make_corruptions(config)
  with prefixed("config.eval.features"):
    feature_methods(method, config.eval.features)
  keep_best = config.checkpoint.keep_best
  if not keep_best:
    return
  metric = keep_best.rpartition("/")[2]
  if metric not in METRICS:
    raise UserError(
      f"config.checkpoint.keep_best = {shown(keep_best)} does not end in a metric; "
      f"{nearest(metric, METRICS)}; write SETTING/METRIC, such as all/1-shot/random_choice/mAP"
    )
  if config.eval.split.startswith("test") or not config.eval.every:
    raise UserError(
      f"config.checkpoint.keep_best = {keep_best!r} needs config.eval.every and held-out "
      f"identities in config.eval.split (it is {config.eval.split!r}): selection on the test set "
      "would inflate its results. Configs for SYSU-MM01 have the variant ':val'"
    )


def _check_augmentations(config: ConfigDict) -> None:
  side = min(config.data.image_size)
  for name in AUGMENTED:
    make = augment.make_pair_pipeline if name == "pair" else augment.make_pipeline
    with prefixed(f"config.augment.{name}"):
      make(config.augment[name])
    for text in config.augment[name]:
      padding = augment.parse_operation(text).keywords.get("padding", 0)
      if padding >= side:
        raise UserError(
          f"config.augment.{name}: {text!r} may crop away the whole image: padding is {padding} "
          f"and config.data.image_size {tuple(config.data.image_size)}; allowed: less than {side}"
        )


def _check_second_view(config: ConfigDict, method: methods.Method) -> None:
  needed, given = getattr(method, "needs_second_view", False), tuple(config.augment[SECOND_VIEW])
  key, name = f"config.augment.{SECOND_VIEW}", config.method.name
  if needed and not given:
    raise UserError(
      f"{key} is (), but method {name!r} trains on two views of each visible image; give the "
      "operations of the second view, for example those of config.augment.visible"
    )
  if given and not needed:
    raise UserError(
      f"{key} is {shown(given)}, but method {name!r} trains on one view of each visible image; "
      "set it to ()"
    )


def _check_sampler(config: ConfigDict, method: methods.Method) -> None:
  name = config.sampler.name
  others = [key for key, each in sampler.SAMPLERS.items() if not hasattr(each, "any_modality")]
  if name not in others and not getattr(method, "any_modality", False):
    raise UserError(
      f"config.sampler.name = {name!r} draws images regardless of their modality, but method "
      f"{config.method.name!r} trains on pairs of both modalities; choose {' or '.join(others)}"
    )


def _check_rendered(config: ConfigDict) -> None:
  name, known, preset = config.data.name, rendered.STAND_INS, config.data.get("render")
  if preset and name not in known and name.split("/")[0] != rendered.SYNTHETIC:
    raise UserError(
      f"config.data.render = {preset!r} cannot replace config.data.name = "
      f"{shown(name)}; {nearest(name, known)}; or leave config.data.render out"
    )


@contextlib.contextmanager
def prefixed(key: str) -> Iterator[None]:
  """Prepends the config's key to errors that do not name it."""
  try:
    yield
  except UserError as error:
    message = str(error)
    raise UserError(message if key in message else f"{key}: {message}") from None


def check_pretrained(source: str) -> None:
  """Raises UserError unless `config.pretrained` is a weights file or a well-formed hub name."""
  if source.startswith(hub.SCHEME):
    hub.parse(source)
  elif source and (reason := convert.unfit(source)):
    raise UserError(f"config.pretrained = {source!r}: {reason}")
