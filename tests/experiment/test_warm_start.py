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
  images = jax.numpy.zeros((2, *config.data.image_size, 3))
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


def timm_weights(config, path, side=4, **changes):
  """Saves weights in timm's names for the config's Transformer, on side x side patches."""
  weights = convert.export_weights(make_state(config).variables, convert.name_table("timm"))
  channels = weights["cls_token"].shape[-1]
  weights["pos_embed"] = np.zeros((1, 1 + side**2, channels), np.float32)
  weights = {name: value + 1 for name, value in weights.items()} | changes
  np.savez(path, **weights, **{"head.weight": np.zeros((1000, channels))})
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
  config = config_files.load(name, "smoke")
  if "vit" in config.method and config.method.backbone.startswith("vit"):
    timm_weights(config, tmp_path / "weights.npz")
  else:
    torchvision_weights(config_files.load("agw_synthetic", "smoke"), tmp_path / "weights.npz")
  config.pretrained = str(tmp_path / "weights.npz")
  checks.validate(config)
  before = make_state(config)
  after = warm_start.fill(before, config, SHARDING)
  # All but heads and attention comes from the file: most of what a small network has.
  changed = jax.tree.map(lambda x, y: int(x.size * np.any(x != y)), before.params, after.params)
  assert sum(jax.tree.leaves(changed)) >= 0.8 * sum(x.size for x in jax.tree.leaves(before.params))


def test_a_vit_of_ones_own_fills_the_baseline_by_one_line(tmp_path, capsys):
  """`--config agw_synthetic:vit_s16 --config.pretrained=FILE`, with positions for this image size.

  A distilled DeiT has a second token and its position, which the network does not.
  """
  config = config_files.load("agw_synthetic", "vit_s16,smoke")
  assert config.data.image_size == (48, 24)  # 3 x 1 patches
  file = tmp_path / "vit_s.npz"
  plain = timm_weights(config, file)
  config.pretrained = str(file)
  checks.validate(config)
  state = make_state(config)
  after = warm_start.fill(state, config, SHARDING)
  assert "ViT weights: " in capsys.readouterr().out
  backbone = after.params["backbone"]
  np.testing.assert_array_equal(backbone["pos_embed"], np.ones((1, 4, 48)))
  np.testing.assert_array_equal(
    backbone["blocks"]["block_1"]["attn"]["qkv"]["kernel"], plain["blocks.1.attn.qkv.weight"].T
  )
  assert same(after.params["head"], state.params["head"])
  distilled = {"pos_embed": np.ones((1, 18, 48)), "dist_token": np.ones((1, 1, 48))}
  timm_weights(config, file, **distilled)
  again = warm_start.fill(state, config, SHARDING)
  np.testing.assert_array_equal(again.params["backbone"]["pos_embed"], np.ones((1, 4, 48)))


@pytest.mark.parametrize(
  "variant, other, kind", [("vit_s16", "base", "torchvision"), ("base", "vit_s16", "timm")]
)
def test_weights_of_the_other_kind_of_network_are_listed(variant, other, kind, tmp_path):
  save = timm_weights if other == "vit_s16" else torchvision_weights
  save(config_files.load("agw_synthetic", f"{other},smoke"), tmp_path / "w.npz")
  config = config_files.load("agw_synthetic", f"{variant},smoke")
  config.pretrained = str(tmp_path / "w.npz")
  with pytest.raises(UserError, match=rf"names of {kind}; .*(.|\n)*\+ "):
    warm_start.fill(make_state(config), config, SHARDING)


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


@pytest.mark.parametrize(
  "name, width, example",
  [
    ("agw_sysu", 64, "hf://timm/resnet50.tv_in1k"),
    ("agw_sysu", 16, ""),
    ("pmt_sysu", 64, "hf://timm/vit_base_patch16_224.orig_in21k_ft_in1k"),
  ],
)
def test_full_width_without_weights_warns_once(name, width, example, capsys):
  config = config_files.load(name)
  config.method.width = width
  state = object()
  assert warm_start.fill(state, config, SHARDING) is state
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == bool(example)
  assert all(
    "starts from random values" in line and f"--config.pretrained=FILE or {example}" in line
    for line in lines
  )
