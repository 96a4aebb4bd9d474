"""Starting from ImageNet weights: every stream filled, the rest kept, and the warning without."""

import re

import config_files
import jax
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.config import checks
from vireid_jax.config.parts import make_method
from vireid_jax.experiment import warm_start
from vireid_jax.models import convert
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training import optim
from vireid_jax.training import state as state_lib

SHARDING = mesh_lib.replicated(mesh_lib.make_mesh())


def make_state(config):
  method = make_method(config, num_classes=5, steps_per_epoch=3)
  images = jax.numpy.zeros((2, 32, 16, 3))
  batch = dict.fromkeys(("visible", "infrared", "visible_2"), images)
  batch["label"] = jax.numpy.zeros(2, jax.numpy.int32)
  optimizer = optim.create(config.optim, lambda step: 1e-3)
  shapes = jax.eval_shape(
    lambda: state_lib.create(method.init(jax.random.key(0), batch), optimizer)
  )
  generator = np.random.default_rng(0)
  return jax.tree.map(lambda x: generator.uniform(size=x.shape).astype(x.dtype), shapes)


def torchvision_weights(config, path):
  """Saves weights in torchvision's names for the config's small ResNet; returns them."""
  state = make_state(config)
  variables = jax.tree.map(lambda x: x, state.variables)
  for tree in variables.values():
    backbone = tree.get("backbone", {})
    if "infrared" in backbone:
      backbone["infrared"] = backbone["visible"]
  weights = convert.export_weights(variables, convert.name_table("torchvision"))
  weights = {name: value + 1 for name, value in weights.items()}
  np.savez(path, **weights, **{"fc.weight": np.zeros((1000, 64)), "fc.bias": np.zeros(1000)})
  return weights


def same(a, b):
  return all(
    np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )


def test_every_stream_is_filled_and_the_rest_is_kept(tmp_path, capsys):
  config = config_files.load("agw_synthetic", "smoke")
  weights = torchvision_weights(config, tmp_path / "r18.npz")
  config.pretrained = str(tmp_path / "r18.npz")
  before = make_state(config)
  notices = {}
  after = warm_start.fill(before, config, SHARDING, notices.__setitem__)
  backbone = after.params["backbone"]
  for stream in ("visible", "infrared"):
    np.testing.assert_array_equal(
      backbone[stream]["stem"]["conv1"]["kernel"], weights["conv1.weight"].transpose(2, 3, 1, 0)
    )
    statistics = after.collections["batch_stats"]["backbone"][stream]["stem"]["bn1"]
    np.testing.assert_array_equal(statistics["var"], weights["bn1.running_var"])
  np.testing.assert_array_equal(
    backbone["shared"]["layer4"]["block1"]["bn2"]["scale"], weights["layer4.1.bn2.weight"]
  )
  assert same(after.params["head"], before.params["head"])
  blocks = [state.params["backbone"]["shared"]["layer3"] for state in (before, after)]
  names = [name for name in blocks[0] if name.startswith("non_local")]
  assert names and all(same(blocks[0][name], blocks[1][name]) for name in names)
  assert same(after.opt_state, before.opt_state)
  assert "ResNet weights" in capsys.readouterr().out
  # An ImageNet classifier of 65,000 numbers, and non-local blocks beside the ResNet.
  assert re.fullmatch(
    r"of .*r18\.npz: (\d+)% of the network's parameters are not in the file and start from random "
    r"values \(backbone, head\); (\d+)% of the file's numbers are not used "
    r"\(fc\.weight, fc\.bias\)",
    notices["weights"],
  )


@pytest.mark.parametrize("name", [name for name in config_files.NAMES if "synthetic" in name])
def test_every_method_can_start_from_imagenet_weights(name, tmp_path):
  agw = config_files.load("agw_synthetic", "smoke")
  torchvision_weights(agw, tmp_path / "r18.npz")
  config = config_files.load(name, "smoke")
  config.pretrained = str(tmp_path / "r18.npz")
  checks.validate(config)
  before = make_state(config)
  after = warm_start.fill(before, config, SHARDING)
  # All but heads and attention comes from the file: most of what a small network has.
  changed = jax.tree.map(lambda x, y: int(x.size * np.any(x != y)), before.params, after.params)
  assert sum(jax.tree.leaves(changed)) >= 170_000


@pytest.mark.parametrize("classes, notable", [(3, False), (5, True)])
def test_shares_count_numbers_and_five_percent_is_the_limit(classes, notable):
  table = convert.NameTable(
    "toy", lambda path: "w" if path[-1] == "w" else None, True, r"fc\..*", "a test"
  )
  variables = {
    "params": {"net": {"w": np.zeros(95)}, "head": {"bias": np.zeros(5)}},
    "batch_stats": {"net": {"mean": np.zeros(1000)}},
  }
  weights = {"w": np.zeros(95), "fc.weight": np.zeros(classes), "num_batches_tracked": np.zeros(())}
  found = convert.shares(variables, weights, table, ["fc.weight", "num_batches_tracked"])
  assert found.random == 0.05
  assert found.modules == ("head",)
  assert found.unused == pytest.approx((classes + 1) / (96 + classes))
  assert found.tensors == ("fc.weight",)
  assert found.notable == notable


def test_weights_of_another_network_are_listed(tmp_path):
  config = config_files.load("agw_synthetic", "smoke")
  torchvision_weights(config, tmp_path / "r18.npz")
  config.pretrained = str(tmp_path / "r18.npz")
  config.method.width = 16
  with pytest.raises(UserError, match=r"r18\.npz: (.|\n)*- bn1\.bias \(16,\)"):
    warm_start.fill(make_state(config), config, SHARDING)


def test_missing_file_shows_before_anything_is_read():
  config = config_files.load("agw_synthetic", "smoke")
  config.pretrained = "/nowhere/resnet50.pth"
  with pytest.raises(
    UserError, match=r"config\.pretrained = '/nowhere/resnet50\.pth': no such file"
  ):
    checks.validate(config)


@pytest.mark.parametrize("width, warned", [(64, True), (16, False)])
def test_full_width_without_weights_warns_once(width, warned, capsys):
  config = config_files.load("agw_sysu")
  config.method.width = width
  state = object()
  assert warm_start.fill(state, config, SHARDING) is state
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == warned
  assert all(
    "starts from random values" in line and "--config.pretrained" in line for line in lines
  )
