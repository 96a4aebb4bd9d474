"""Tests of the PyTorch baseline: the network, losses, arithmetic and table are those of AGW's base.

Skipped where PyTorch, an optional extra, is missing.
"""

import argparse

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from vireid_jax import benchmark  # noqa: E402
from vireid_jax.common.errors import UserError  # noqa: E402
from vireid_jax.models import convert  # noqa: E402
from vireid_jax.speed import (  # noqa: E402
  comparison,
  count,
  device,
  setting,
  torch_model,
  torch_sides,
)
from vireid_jax.speed import step as step_benchmark  # noqa: E402

# Tiny maps: threads that wait for each other would cost more than the work.
torch.set_num_threads(1)

AGW = "configs/agw_sysu.py:base,smoke"
CLASSES = 6


@pytest.fixture
def small_peaks(monkeypatch):
  """Measures the device's peaks on something small."""
  monkeypatch.setattr(device, "PRODUCT_SIZE", {"cpu": 64})
  monkeypatch.setattr(device, "COPY_LENGTH", {"cpu": 1024})


def _config(dtype="auto", conv_impl="auto", **changes):
  config = setting.config_lib.load(AGW)
  config.method.update(changes)
  config.numerics.update({"dtype": dtype, "conv_impl": conv_impl})
  return config


def _count(network) -> int:
  return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(("depth", "width"), [(18, 8), (50, 64)])
def test_both_train_equally_many_parameters(depth, width):
  config = _config(depth=depth, width=width)
  method = setting.create_method(config, CLASSES)
  assert _count(torch_sides.build(config, CLASSES)) == count.measure(method, (48, 24)).trained


def test_a_transformer_has_no_such_baseline():
  with pytest.raises(
    UserError, match=r"backbone = 'vit_s16': the PyTorch baseline is a two-stream"
  ):
    torch_sides.build(_config(backbone="vit_s16"), CLASSES)
  named, by_depth = _config(backbone="resnet34", width=8), _config(depth=34, width=8)
  assert _count(torch_sides.build(named, CLASSES)) == _count(torch_sides.build(by_depth, CLASSES))


@pytest.mark.parametrize(
  ("metric", "pooling", "depth"),
  [("triplet", "average", 18), ("wrt_legacy", "gem", 50), ("wrt", "average", 18)],
)
def test_same_weights_give_the_same_loss_and_gradients(metric, pooling, depth):
  changes = {"metric": {"name": metric}, "pooling": pooling, "depth": depth, "dtype": "float64"}
  with jax.enable_x64(True):
    config = _config(**changes)
    method = setting.create_method(config, CLASSES)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((2, 8, 48, 24, 3))
    labels = np.repeat(np.arange(4, dtype=np.int32), 2)
    batch = {"visible": images[0], "infrared": images[1], "label": labels}
    variables = jax.jit(method.init)(jax.random.key(0), batch)

    def compute(params):
      every = {**variables, "params": params}
      return method.loss(every, batch, rngs=jax.random.key(0), step=0).loss

    value, gradients = jax.jit(jax.value_and_grad(compute))(variables["params"])
    table = convert.name_table("agw")
    weights = convert.export_weights(variables, table)
    gradients = convert.export_weights({"params": gradients}, table)
  network = torch_sides.build(config, CLASSES).double()
  absent = network.load_state_dict(
    {name: torch.from_numpy(array.copy()) for name, array in weights.items()}, strict=False
  )
  assert not absent.unexpected_keys
  assert all(name.endswith("num_batches_tracked") for name in absent.missing_keys)
  pooled, logits = network(*(torch.from_numpy(x).permute(0, 3, 1, 2) for x in images))
  both = torch.from_numpy(labels).long().repeat(2)
  found = torch_model.loss(pooled, logits, both, metric=metric, margin=0.3)
  found.backward()
  assert found.item() == pytest.approx(float(value), rel=1e-9)
  named = {name: p.grad.numpy() for name, p in network.named_parameters() if p.requires_grad}
  assert named.keys() == gradients.keys()
  largest = max(np.abs(gradient).max() for gradient in gradients.values())
  for name, gradient in gradients.items():
    np.testing.assert_allclose(named[name], gradient, atol=1e-7 * largest, err_msg=name)


def test_both_count_the_same_arithmetic():
  config, size = _config(depth=50, width=64, dtype="float32", conv_impl="xla"), (288, 144)
  ours = count.measure(setting.create_method(config, CLASSES), size).operations
  with torch.device("meta"), FlopCounterMode(display=False) as counter:
    torch_sides.build(config, CLASSES).eval().embed(torch.zeros(1, 3, *size))
  # XLA leaves out products with the padding, torch all that is no product.
  assert 0.9 < ours / counter.get_total_flops() < 1.02


def test_augmentation_moves_whole_images():
  torch.manual_seed(0)
  images = torch.arange(1, 41, dtype=torch.uint8)[None, :, None, None].expand(16, 40, 30, 3)
  images = images.contiguous()
  moved = torch_model.crop_flip(images)
  assert moved.shape == images.shape and moved.dtype == torch.uint8
  for image in moved.numpy():
    rows = image[:, 15, 0].astype(int)
    shown = rows[rows > 0]
    # A run of consecutive rows: shifted by at most the padding, black beyond the edge.
    assert len(shown) >= 30 and (np.diff(shown) == 1).all()
  ramp = torch.arange(1, 31, dtype=torch.uint8)[None, None, :, None].expand(64, 40, 30, 3)
  steps = np.diff(torch_model.crop_flip(ramp.contiguous()).numpy()[:, 20, 10:20, 0].astype(int))
  mirrored = (steps == -1).all(1)
  assert ((steps == 1).all(1) | mirrored).all() and 10 < mirrored.sum() < 54


def test_maps_are_channels_last_all_the_way():
  images = torch_model.normalize(torch.zeros(2, 48, 24, 3, dtype=torch.uint8))
  network = torch_sides.build(_config(), CLASSES).to(memory_format=torch.channels_last)
  last = network.base_resnet["base"](network._stream("visible")(images))
  assert last.is_contiguous(memory_format=torch.channels_last)


def test_table_compares_with_torch(small_peaks, capsys):
  flags = ["--identities", "6", "--repeats", "1", "--dtype", "float32", "--baseline", "torch"]
  for arguments in (["step", AGW, *flags], ["embed", AGW, "--batch", "3", *flags]):
    sides = benchmark.main(arguments)["sides"]
    ours, theirs = sides[AGW], sides["torch"]
    assert ours["images"] == theirs["images"] == (16 if arguments[0] == "step" else 3)
    expected = ours["images_per_second"] / theirs["images_per_second"]
    assert ours["ratios"]["torch"] == pytest.approx(expected)
    assert theirs["ratios"] == {}
    assert theirs["flops"] > 0
    assert "times torch |" in capsys.readouterr().out


def test_steps_train(monkeypatch):
  options = argparse.Namespace(identities=CLASSES, dtype="float32", image_size=None)
  losses, plain = [], torch_model.loss
  monkeypatch.setattr(
    torch_model, "loss", lambda *a, **k: losses.append(plain(*a, **k)) or losses[-1]
  )
  torch.manual_seed(0)
  config = setting.load(AGW, options)
  config.optim.lr = 0.02
  side = torch_sides.train_side(config, options, "torch")
  for _ in range(12):
    side.call()
  assert losses[-1] < 0.85 * losses[0]


@pytest.mark.slow
def test_compiled_step_says_how_long_compiling_took(small_peaks):
  options = argparse.Namespace(
    configs=[AGW],
    overrides=[],
    identities=CLASSES,
    dtype="float32",
    image_size=None,
    repeats=1,
    baseline=["torch_compile"],
  )
  numbers = comparison.compare(options, step_benchmark.prepare, baseline="train_side")
  side = numbers["sides"]["torch_compile"]
  assert side["compile_seconds"] > side["median_seconds"]
  assert numbers["sides"][AGW]["ratios"]["torch_compile"] > 0
