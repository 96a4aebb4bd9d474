"""Values that `validate` must refuse, naming the key, and real ones that it must take."""

import re

import command_lines
import config_files
import odd_values
import pytest

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common import options
from vireid_jax.common.errors import UserError, choose, nearest, shown
from vireid_jax.config import checks
from vireid_jax.experiment import train

NAN, INF = float("nan"), float("inf")
BASE = "agw_sysu"
# Key -> values; the keys of a method belong to its config on rendered images.
REFUSED = {
  "seed": (-1, 2**32, 1.5, "0", None, True, NAN, 10**5000),
  "pretrained": ("/nowhere.pth", "a\nb", "~nosuchuser/x", "x" * 300, None, 3),
  "data.name": ("", None, 3, "x\x1b[31m"),
  "data.train_splits": (
    (),
    "train",
    ("train", "train"),
    ("{nope}",),
    ("{",),
    ("{0}",),
    (3,),
    None,
    ("",),
  ),
  "data.image_size": ((288,), (288, 144, 3), (-288, 144), (0, 0), (8, 4), (10**9, 10**9), 288, ()),
  "data.resize": ("cubic", "", None, 3),
  "data.trial": (0, -1, "1", 1.0),
  "data.placement": ("devise", "", None),
  "data.render": ("smok", None, 1),
  "data.drop_unpaired": (1, "True", None),
  "sampler.name": ("pair", "", None),
  "sampler.num_identities": (0, 1, -8, 8.0, "8", None, True, 10**30),
  "sampler.num_instances": (0, -1, 2.5, None),
  "sampler": (None, 5, "pairs", {}, {"name": "pairs"}),
  "augment.visible": ("flip()", ("flip",) * 2000, (3,), ("flop()",), None, ("",)),
  "augment.infrared": (
    *(("pad_crop(padding=-1)",), ("pad_crop(padding=144)",), ("pad_crop(padding=1.5)",)),
    *(("pad_crop(fill=256)",), ("flip(probability=1.1)",), ("flip(probability='a')",)),
    *(("random_erasing(area=(0.4, 0.1))",), ("random_erasing(aspect=0)",), ("normalize(std=0)",)),
    *(
      ("normalize(std=(0, 1, 1))",),
      ("random_erasing(value=1e999)",),
      ("random_erasing(value=(1, 2))",),
      ("luma(probability=2)",),
      ("flip(**{'a': 1})",),
    ),
    *(("-" * 900 + "1",), ("(" * 400,), ("flip(probability=10**30)",), ("a.b()",), ("flip()()",)),
  ),
  "augment.visible_2": ("flip()", ("normalize()",), (3,), None),
  "augment.pair": (("normalize()",), ("luma()",), "flip()"),
  "method.name": ("agv", "", None, "..", "a..b", "base", "vireid_jax.nosuch", 3),
  "method.depth": (51, 0, -18, "50", 50.0, None, (18,), {"a": 1}),
  "method.width": (0, -1, 10**9, 64.5, None),
  "method.pooling": ("max", "", None, 3),
  "method.feature": ("neck", None),
  "method.non_local": ((0, 2), (0, 2, 3, 0, 0), (-1, 0, 0, 0), ("a",) * 4, 3, None),
  "method.metric.weight": (-1.0, NAN, INF, "1", None, 10**400),
  "method.metric.name": ("wtr", "", None, 3),
  "method.metric.margin": (-1.0, NAN),
  "method.metric": (None, 5, "wrt", ("wrt",)),
  "method.label_smoothing": (1.0, -0.1, NAN),
  "numerics.dtype": ("float16", "float64", "", None),
  "numerics.conv_impl": ("fast", None),
  "numerics.unbiased_variance": (1, "yes", None),
  "optim.name": ("adamax", "", None),
  "optim.schedule": ("step", "cosine", "one_cycle", "", None),  # two moments, where it needs one
  "optim.lr": (-0.1, NAN, INF, "0.1", None, 1e30),
  "optim.lr_multipliers": ({"backbone": -1}, {"backbone": "x"}, {"": 1.0}, {"a": NAN}, None, (), 3),
  "optim.momentum": (1.0, 1.5, -0.1, NAN, None),
  "optim.weight_decay": (-5e-4, 2.0, NAN, INF, "x"),
  "optim.nesterov": (0, None),
  "optim.no_decay": ("bias", (3,), None),
  "optim.update_every": ("epochs", "", None),
  "optim.warmup_from": (-0.1, 1.1, NAN, None),
  "optim.warmup": ("ten epochs", "-1 epochs", "nan epochs", "1e3 steps", 10, None, "٣ steps"),
  "optim.decay_at": (("20 epochs",), ("50 epochs", "20 epochs"), ("x", "y"), (20, 50), None),
  "optim.decay_to": ((0.1,), (0.1, -0.01), (NAN, 0.1), ("a", "b"), 0.1, None),
  "train.duration": (
    "80",
    "9" * 400 + " steps",
    "3000000000 steps",
    "inf epochs",
    None,
    5,
    "-1 steps",
  ),
  "train.steps_per_epoch": (-1, 1.5, None, 10**9),
  "train.accumulate": (0, -1, 3, 8, 1.0, None),
  "train.remat": ("block", None),
  "checkpoint.every": ("often", "-2 epochs", 5, None),
  "checkpoint.keep": (0, -1, None, 2.0, "2"),
  "checkpoint.keep_every": ("x", None),
  "checkpoint.keep_best": ("mAP", "x/y", 3, None),
  "eval.every": ("x", -1, None),
  "eval.batch": (0, -4, 1.5, None, 10**9),
  "eval.split": ("", "{nope}", None, 3, "{trial!r}"),
  "eval.features": (("neck",), "after_neck", ("after_neck",) * 2, (3,), None),
  "eval.rerank": (1, "yes", None),
  "eval.rerank_options.k1": (0, -1, 1.5, None),
  "eval.rerank_options.lambda_value": (1.5, -0.1, NAN, "x"),
  "eval.rerank_options": (None, (), 3),
  "eval.affinity": (1, "yes", None),
  "eval.affinity_options.k1": (-1, 1.5, None, 10_001),
  "eval.affinity_options": (None, (), 3),
  "eval.mser": (1, "yes", None),
  "eval.mser_options.k1": (0, 1.5, None, 10_001),
  "eval.mser_options.lambda_value": (1.5, -0.1, NAN, "x"),
  "eval.mser_options": (None, (), 3),
  "eval.corruption.draws": (-1, 1.5, None, 10**9),
  "eval.corruption.kinds": (("fogg",), "fog", (3,), None),
  "eval.corruption.severities": ((0,), (6,), (), 3, ("1",), (True,)),
  "eval.corruption.seed": (-1, 2**32, None),
  "eval.protocol.name": ("sysu", "", None, 3),
  "eval.protocol.modes": (("al",), (), ("all", "all"), None, 3),
  "eval.protocol.shots": ((0,), (-1,), (1.5,), (), None, ("1",)),
  "eval.protocol.trials": (0, -1, 1.5, None, 10**30),
  "eval.protocol": (None, {}, "regdb"),
  "log.every": ("x", 50, None),
  "log.tensorboard": (1, None),
  "log.wandb": (1, "online", None),
  "log": (None, {}, 3),
}
OF_METHODS = {
  "mpanet_synthetic": {
    "method.parts": (0, -1, 1.5, 10**6),
    "method.update_rate": (-0.1, 1.1, NAN),
    "method.margin": (-1, INF),
    "method.mam": (0, "x"),
  },
  "mun_synthetic": {
    "method.kernel_sizes": ((), (2,), (3, 3), (0,), (-3,), 3, ("3",), (33,)),
    "method.generator_stage": (3, -1, "0"),
    "method.num_specific_stages": (2, -1, 9),
    "method.modality_alignment.rate": (1.5, -0.5, NAN),
    "method.auxiliary": ("grey", None),
  },
  "tmpa_synthetic": {
    "method.heads": (0, 3, 10**9, -1),
    "method.reduction": (0, 10**4, -8),
    "method.pedmix.bands": (0, -1, 10**9, 2.5),
    "method.pedmix.ratio": (2.0, -1, NAN, None),
    "method.pedmix.cam_warmup": ("-1 steps", "9 examples", "x", 1.5),
    "method.branch_stage": (1, 4, "stage3", None),
  },
}
ALL_REFUSED = [
  (name, key, value)
  for name, table in {BASE: REFUSED, **OF_METHODS}.items()
  for key, values in table.items()
  for value in values
]


def test_wrong_values_are_refused_by_their_key_before_data_are_touched():
  assert len(ALL_REFUSED) > 300
  for name, key, value in ALL_REFUSED:
    config = config_files.load(name)
    odd_values.put(config, key, value)
    with pytest.raises(UserError) as caught:
      checks.validate(config)
    message = str(caught.value)
    parts = (key, key.rpartition(".")[2], key.split(".")[0])
    assert any(part in message for part in parts), (key, message)
    assert message.isprintable() and len(message) < 1500, (key, message)


@pytest.mark.parametrize(
  "key, value",
  [
    *(("seed", 2**32 - 1), ("data.image_size", (384, 128)), ("data.image_size", [16, 16])),
    *(
      ("data.train_splits", ["train"]),
      ("data.train_splits", ("train_{trial}",)),
      ("eval.split", "test_{trial}"),
    ),
    *(("optim.lr", 1), ("optim.lr", 3.5e-4), ("optim.weight_decay", 0), ("optim.momentum", 0)),
    *(("optim.warmup", ""), ("train.duration", "0.5 epoch"), ("train.duration", "500000 examples")),
    *(("optim.lr_multipliers", {"head/neck": 2}), ("optim.no_decay", ("bias",))),
    *(("optim.decay_at", ["2000 steps", "30 epochs"]), ("checkpoint.keep", 1)),
    *(("optim.decay_at", ("3000000000 examples", "5000000000 examples")), ("eval.every", "0")),
    *(("optim.name", "adamw"), ("optim.warmup_from", 1e-4), ("optim.warmup_from", 1)),
    *(("checkpoint.keep_every", "10 epochs"), ("eval.batch", 1), ("eval.flip", True)),
    *(("eval.features", ("before_neck", "after_neck")), ("augment.pair", ("pad_crop(padding=4)",))),
    *(("augment.visible", ("random_erasing(probability=1, area=(0, 1), aspect=1)",)),),
    *(("augment.infrared", ("random_erasing(value=(0.5, 1, 0))", "luma(probability=0.1)")),),
    *(("train.steps_per_epoch", 0), ("train.steps_per_epoch", 928)),
    *(("method.depth", 34), ("method.width", 8), ("method.label_smoothing", 0.1)),
    *(("method.non_local", (0, 0, 0, 0)), ("method.metric.margin", 0), ("train.accumulate", 4)),
    *(
      ("data.dir", "~/data sets/ä"),
      ("eval.corruption.severities", (3,)),
      ("sampler.num_instances", 1),
    ),
  ],
)
def test_real_values_pass(key, value):
  config = config_files.load(BASE)
  odd_values.put(config, key, value)
  checks.validate(config)


def test_every_config_passes_with_every_variant_it_names():
  count = 0
  for name in config_files.NAMES:
    text = (config_files.FOLDER / f"{name}.py").read_text()
    for variant in {"", "smoke", "own", *re.findall(r"`:(\w+)`", text)}:
      checks.validate(config_files.load(name, variant))
      count += 1
  assert count > 100


def test_keys_that_a_file_misspells_or_removes_are_named():
  config = config_files.load(BASE)
  config.optim.weight_decai = 0.1
  with pytest.raises(UserError, match=r"config\.optim\.weight_decai: no such key; did you mean"):
    checks.validate(config)
  config = config_files.load(BASE)
  del config.checkpoint["keep"]
  with pytest.raises(UserError, match=r"config\.checkpoint\.keep is missing.* has 2 there"):
    checks.validate(config)


@pytest.mark.parametrize(
  "option, message",
  [
    ("--config.optim.lr=nan", "config.optim.lr is nan; allowed: 0 to"),
    ("--config.data.train_splits=()", r"config.data.train_splits is \(\)"),
    ("--config.seed=-1", "config.seed is -1; allowed: whole numbers 0 to"),
    (
      "--config.data.image_size=1",
      r"image_size is \(1,\); allowed: a tuple of 2 values",
    ),
    ("--config.checkpoint.keep=0", "config.checkpoint.keep is 0; allowed: whole numbers 1 to"),
    ("--config.method.depth=51", "config.method.depth is 51; allowed: 18, 34, 50"),
    ("--config.eval.split={nope}", "config.eval.split is '{nope}'; allowed: .*{trial}"),
    ("--config.train.duration=\x1b[31m", r"duration = '\\x1b\[31m' is not a valid duration"),
    ("--config.numerics.dtype=float64", "JAX_ENABLE_X64=1"),
    ("--config.sampler={}", "config.sampler is {}; allowed: a section of name, num_identities"),
    ("--config.method.pooling=gam", "unknown pooling 'gam'; did you mean 'gem'"),
  ],
)
def test_a_wrong_value_of_the_command_line_is_explained(option, message):
  config = command_lines.config("--config", str(config_files.FOLDER / "agw_sysu.py"), option)
  with pytest.raises(UserError, match=message):
    checks.validate(config)


# Odd values that pass are built: the rest of the run must take them, or say what the data forbid.
BUILT = [
  ("agw_synthetic", {"method.width": 1, "method.num_specific_stages": 5, "optim.lr": 0}),
  pytest.param(
    "agw_synthetic",
    {"data.image_size": (16, 200), "method.non_local": (6, 6, 6, 6)},
    marks=pytest.mark.slow,
  ),
  ("agw_synthetic", {"sampler.num_identities": 2, "sampler.num_instances": 1, "seed": 2**32 - 1}),
  (
    "agw_synthetic",
    {"train.duration": "0.0000001 epochs", "log.every": "1000000 epochs"},
  ),
  ("agw_synthetic", {"optim.decay_at": ("",), "optim.decay_to": (0,), "eval.batch": 1}),
  ("agw_synthetic", {"data.train_splits": ("nosuch",)}),
  ("agw_synthetic", {"data.name": "../../etc"}),
  ("agw_synthetic", {"eval.split": "(("}),
  ("agw_synthetic", {"optim.no_decay": ("nosuch",)}),
  ("agw_synthetic", {"data.dir": "/dev/null"}),
  ("mpanet_synthetic", {"method.parts": 256, "method.width": 1}),
  pytest.param(
    "mun_synthetic",
    {"data.image_size": (16, 16), "method.kernel_sizes": (1, 31)},
    marks=pytest.mark.slow,
  ),
  (
    "tmpa_synthetic",
    {"method.width": 4, "method.pedmix.bands": 1000, "method.pedmix.probability": 1},
  ),
]


@pytest.mark.parametrize("name, changes", BUILT)
def test_what_passes_is_built_or_explained(name, changes, data_dir, tmp_path):
  config = config_files.smoke(name, data_dir)
  for key, value in changes.items():
    odd_values.put(config, key, value)
  checks.validate(config)
  refused = {"data.train_splits", "data.name", "eval.split", "optim.no_decay", "data.dir"} & set(
    changes
  )
  if refused:
    with pytest.raises(UserError):
      train.build(config, tmp_path / "run")
  else:
    assert train.build(config, tmp_path / "run").total_steps >= 1


def test_the_setting_of_the_best_checkpoint_is_checked_before_the_first_step(data_dir, tmp_path):
  config = config_files.smoke("agw_synthetic", data_dir)
  config_lib.hold_out_val(config)
  config.sampler.num_identities, config.eval.every = 2, "2 steps"
  config.checkpoint.keep_best = "al/1-shot/random_choice/mAP"
  with pytest.raises(UserError, match="no such setting; did you mean 'all/1-shot/random_choice"):
    train.build(config, tmp_path / "run")
  config.checkpoint.keep_best = "all/1-shot/random_choice/mAP"
  config.log.every = "1000000000 epochs"
  with pytest.raises(UserError, match=r"log\.every = .* is more than 2,147,483,647 steps"):
    train.build(config, tmp_path / "run")


PLUG_IN = """import dataclasses
from typing import Annotated
from vireid_jax.common.options import Number
from vireid_jax.models.numerics import Numerics

@dataclasses.dataclass(frozen=True)
class Mine:
  num_classes: int
  steps_per_epoch: int
  size: int = 3
  rate: Annotated[float, Number(0, 1)] = 0.5
  parts: tuple = (1, 2)
  note: object = None
  numerics: Numerics = Numerics()
"""


def test_a_method_of_ones_own_has_its_options_checked(tmp_path, monkeypatch):
  (tmp_path / "plugged").mkdir()
  (tmp_path / "plugged" / "mine.py").write_text(PLUG_IN)
  monkeypatch.syspath_prepend(tmp_path)

  def make(**given):
    return methods.create({"name": "plugged.mine", **given}, num_classes=2, steps_per_epoch=1)

  assert make(size=4, rate=1, note=[1]) == make(size=4, rate=1.0, note=[1])
  for wrong in ({"size": 3.5}, {"size": True}, {"rate": 2}, {"parts": ("a",)}, {"rate": "x"}):
    with pytest.raises(UserError, match=f"config.method.{next(iter(wrong))} is "):
      make(**wrong)


def test_a_method_without_what_the_trainer_gives_is_explained(tmp_path, monkeypatch):
  (tmp_path / "bare").mkdir()
  text = PLUG_IN.replace("  numerics: Numerics = Numerics()\n", "")
  (tmp_path / "bare" / "mine.py").write_text(text)
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(UserError, match="has no field numerics; every method has num_classes, "):
    methods.defaults("bare.mine")


@pytest.mark.parametrize(
  "content, message",
  [
    (None, r"No module named 'plugged_absent'; add its folder to PYTHONPATH"),
    ("import nosuchpackage\n", r"\(.*broken\.py, line 1\): ModuleNotFoundError: .*nosuchpackage"),
    ("x = 1\ny = z\n", r"\(.*broken\.py, line 2\): NameError: name 'z' is not defined"),
    ("def f(:\n", r"\(.*broken\.py, line 1\): SyntaxError"),
    ("x = 1\n", "defines no dataclass named 'broken'"),
  ],
)
def test_a_method_that_cannot_be_imported_says_why(content, message, tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
  folder = f"plugged_{len(content or '')}" if content else "plugged_absent"
  if content:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "broken.py").write_text(content)
  with pytest.raises(UserError, match=message):
    config_lib.default_config(f"{folder}.broken", "sysu_mm01")


def test_values_and_names_are_shown_in_one_short_line():
  for value in (
    "x" * 10**6,
    10**5000,
    "\x1b[31m\n\0",
    list(range(10**5)),
    {"a": "\u202e"},
    b"\xff",
  ):
    assert shown(value).isprintable() and len(shown(value)) <= 100
  assert shown("gem") == "'gem'" and shown(0.1) == "0.1"
  assert nearest("x" * 10**6, ["a", "b"]) == "allowed: a, b"
  assert nearest(None, [1, 2]) == "allowed: 1, 2" and nearest(3, []) == "allowed: (none)"
  assert nearest("\x1b", ["a\x1bb"]).isprintable()
  assert len(nearest("q", map(str, range(10**4)))) < 500


def test_a_chosen_name_gives_its_value_and_a_wrong_one_those_near_it():
  table = {"adam": 1, "sgd": 2}
  assert (choose("sgd", table, "rule"), choose("adam", list(table), "rule")) == (2, "adam")
  refused = [
    ("sdg", "unknown rule 'sdg'; did you mean 'sgd'?"),
    ([], "unknown rule []; allowed: adam, sgd"),
    ("\x1b", r"unknown rule '\x1b'; allowed: adam, sgd"),
  ]
  for allowed in (table, list(table)):
    for name, message in refused:
      with pytest.raises(UserError) as caught:
        choose(name, allowed, "rule")
      assert str(caught.value) == message
  with pytest.raises(UserError, match=r"^no rule 'sdg'; did you mean 'sgd'\?$"):
    choose("sdg", table, said="no rule 'sdg'")


def test_every_option_of_every_method_has_a_rule_that_takes_its_default():
  for name in methods.names():
    declared = options.declared(methods.find(name))
    for key, value in methods.defaults(name).items():
      assert type(declared[key].rule) is not options.Rule, (name, key)
      assert declared[key].rule.accepts(value), (name, key)


def test_a_config_of_the_file_reader_and_of_the_flag_are_equal():
  path = f"{config_files.FOLDER / 'tmpa_llcm.py'}:smoke"
  found = command_lines.config("--config", path)
  assert found.to_dict() == config_lib.load(path).to_dict() and found.is_locked
