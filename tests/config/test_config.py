"""Every config is built; variants, validation and the comparison of configs."""

import config_files
import pytest

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common.durations import Clock
from vireid_jax.common.errors import UserError
from vireid_jax.config import checks, parts
from vireid_jax.config.parts import make_method
from vireid_jax.data.training.augment import make_pipeline
from vireid_jax.experiment import train
from vireid_jax.training import first_state, optim


@pytest.mark.parametrize("name", config_files.NAMES)
def test_config_is_valid_and_its_network_can_be_built(name):
  config = config_files.load(name)
  checks.validate(config)
  method = make_method(config, num_classes=395, steps_per_epoch=696)
  variables = first_state.abstract_variables(config.data.image_size, 0, method)
  optim.check_names(config.optim, variables["params"])
  schedule = optim.make_schedule(config.optim, Clock(696, 64))
  assert float(schedule(696 * 10)) > 0
  assert make_pipeline(config.augment.visible)


@pytest.mark.parametrize("name", config_files.NAMES)
def test_smoke_run_is_built_on_rendered_data_in_its_protocol(name, data_dir, tmp_path):
  config = config_files.smoke(name, data_dir)
  run = train.build(config, tmp_path)
  assert run.total_steps == 4
  assert run.dataset.is_synthetic
  known = ("sysu_mm01", "regdb", "llcm", "own", "vireid_synthetic")
  assert run.dataset.name.split("/")[0] in known
  batch = run.data.batch(0)
  assert batch["visible"].shape == (8, *config.data.image_size, 3)


def test_every_method_has_a_config_for_every_data_set():
  for method in methods.names():
    for dataset in ("sysu", "regdb", "llcm", "synthetic"):
      assert f"{method}_{dataset}" in config_files.NAMES


def test_published_epochs_are_explicit_and_count_for_the_published_data_alone():
  for name, steps in (("agw_sysu", 22_258 // 32 + 1), ("agw_regdb", 2_060 // 32 + 1)):
    assert config_files.load(name).train.steps_per_epoch == steps
    for variant in ("smoke", "own"):
      assert config_files.load(name, variant).train.steps_per_epoch == 0
  assert config_files.load("agw_sysu", "val").train.steps_per_epoch == 0


def test_an_epoch_has_the_steps_of_the_config_or_of_the_sampler():
  config = config_files.load("agw_synthetic")
  assert parts.make_clock(config, 40).steps("2 epochs", key="train.duration") == 80
  config.train.steps_per_epoch = 7
  assert parts.make_clock(config, 40).steps("2 epochs", key="train.duration") == 14


def test_a_second_view_is_made_where_the_method_trains_on_one():
  config = config_lib.default_config("toys.two_views", "sysu_mm01")
  checks.validate(config)
  assert config.augment.visible_2 == config.augment.visible
  shapes = first_state.abstract_variables(
    (8, 4), 0, methods.create(config.method, num_classes=3, steps_per_epoch=1)
  )
  assert shapes["params"]["visible"].shape == (8 * 4 * 3, 8)
  config.augment.visible_2 = ()
  with pytest.raises(
    UserError, match=r"config\.augment\.visible_2 is \(\), but method 'toys.two_vi"
  ):
    checks.validate(config)
  config.augment.visible_2 = ("flap()",)
  with pytest.raises(UserError, match=r"config\.augment\.visible_2: unknown augmentation 'flap'"):
    checks.validate(config)
  other = config_files.load("agw_sysu")
  assert other.augment.visible_2 == ()
  other.augment.visible_2 = ("normalize()",)
  with pytest.raises(
    UserError, match=r"visible_2 is \('normalize\(\)',\), but method 'agw' trains on"
  ):
    checks.validate(other)


def test_base_variant_is_the_plain_baseline():
  config = config_files.load("agw_sysu", "base")
  assert config.method.non_local == (0, 0, 0, 0)
  assert config.method.pooling == "average"
  assert config.method.metric.name == "triplet"


def test_val_variant_keeps_val_out_of_training():
  config = config_files.load("agw_sysu", "val")
  assert config.data.train_splits == ("train",)
  assert config.eval.split == "val"
  assert config.eval.protocol.galleries == ("random_choice",)


def test_any_method_may_be_trained_on_pictures_of_ones_own():
  config = config_files.load("mun_llcm", "own")
  checks.validate(config)
  assert config.data.name == "own" and config.method.name == "mun"
  assert config.eval.protocol == config_files.load("agw_own").eval.protocol
  held_out = config_files.load("agw_own", "val")
  checks.validate(held_out)
  assert held_out.eval.split == "val" and held_out.data.train_splits == ("train",)


def test_only_a_config_with_rendered_images_has_their_key():
  assert all("render" not in config_files.load(name).data for name in config_files.NAMES)
  named = ["--config.data.render=smoke"]
  config = config_lib.override(config_files.load("agw_sysu").lock(), named)
  checks.validate(config)
  assert config.data.render == "smoke" and config.is_locked
  assert config_lib.override(config_files.load("agw_sysu", "smoke"), [f"{named[0][:-5]}quick"])
  with pytest.raises(UserError, match="unknown render 'smok'; did you mean 'smoke'"):
    checks.validate(config_lib.override(config_files.load("agw_sysu"), [named[0][:-1]]))
  with pytest.raises(UserError, match=r"data\.renders: no such key"):
    config_lib.override(config_files.load("agw_sysu"), ["--config.data.renders=smoke"])


def test_leaving_the_rendered_images_is_a_difference():
  real, stand_in = ({"data": {"name": "regdb", **more}} for more in ({}, {"render": "smoke"}))
  assert config_lib.differences(stand_in, real) == ["data.render: 'smoke' -> ''"]
  assert config_lib.differences({"data": {"name": "regdb", "render": ""}}, real) == []


def test_variants_combine_and_unknown_ones_are_named():
  config = config_files.load("agw_sysu", "base,smoke")
  assert config.method.pooling == "average" and config.data.render == "smoke"
  with pytest.raises(UserError, match="unknown config variant 'bas'; did you mean 'base'"):
    config_files.load("agw_sysu", "bas")


@pytest.mark.parametrize(
  "key, value, message",
  [
    ("method.name", "agv", "unknown method 'agv'; did you mean 'agw'"),
    ("method.metric.name", "wtr", "unknown metric loss 'wtr'; did you mean 'wrt'"),
    ("train.duration", "80", "train.duration = '80' is not a valid duration"),
    ("checkpoint.every", "often", "checkpoint.every = 'often' is not a valid duration"),
    ("eval.protocol.name", "sysu", "unknown evaluation protocol 'sysu'"),
    ("eval.protocol.modes", ("al",), "'al'"),
    ("augment.visible", ("flop()",), "unknown augmentation 'flop'; did you mean 'flip'"),
    ("optim.name", "sdg", "unknown optimiser 'sdg'; did you mean 'sgd'"),
  ],
)
def test_wrong_values_are_explained_before_data_are_touched(key, value, message):
  config = config_files.load("agw_sysu")
  with config.ignore_type():
    config.update_from_flattened_dict({key: value})
  with pytest.raises(UserError, match=message):
    checks.validate(config)


def test_differences_name_keys_and_skip_what_may_change():
  old = config_lib.to_dict(config_files.load("agw_sysu"))
  config = config_files.load("agw_sysu")
  config.train.duration = "90 epochs"
  config.eval.every = "5 epochs"
  config.log.every = "1 step"
  assert config_lib.differences(old, config_lib.to_dict(config)) == []
  config.optim.lr = 0.2
  config.method.depth = 18
  assert config_lib.differences(old, config_lib.to_dict(config)) == [
    "method.depth: 50 -> 18",
    "optim.lr: 0.1 -> 0.2",
  ]


def test_split_names_follow_the_split():
  config = config_files.load("agw_regdb")
  config.data.trial = 3
  assert config_lib.split_name(config, config.eval.split) == "test_3"
