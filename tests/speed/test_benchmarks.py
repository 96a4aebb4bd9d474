"""Tests of the benchmarks of whole networks: what they count, derive, print, refuse and import."""

import json
import subprocess
import sys

import jax
import pytest
from markdown_tables import cells

from vireid_jax import benchmark
from vireid_jax.common.errors import UserError
from vireid_jax.speed import count as count_lib
from vireid_jax.speed import device, floor, setting

AGW = "configs/agw_sysu.py:base,smoke"
# Packages of the full installation that a machine which only measures may lack.
NOT_NEEDED = (
  "PIL",
  "array_record",
  "cv2",
  "flatbuffers",
  "grain",
  "importlib_resources",
  "jinja2",
  "matplotlib",
  "safetensors",
  "sklearn",
  "tensorboardX",
  "tensorflow_datasets",
  "torch",
  "tqdm",
)


@pytest.fixture(autouse=True)
def small_peaks(monkeypatch):
  """Measures the device's peaks on something small."""
  monkeypatch.setattr(device, "PRODUCT_SIZE", {"cpu": 64})
  monkeypatch.setattr(device, "COPY_LENGTH", {"cpu": 1024})


def test_step_derives_its_rates_from_what_it_timed(tmp_path, capsys):
  path = tmp_path / "numbers.json"
  flags = ["--identities", "6", "--repeats", "2", "--batch-pairs", "12", "--dtype", "float32"]
  numbers = benchmark.main(["step", AGW, *flags, "--json", str(path)])
  assert json.loads(path.read_text()) == numbers
  assert list(numbers["sides"]) == [AGW]
  peak, bandwidth = numbers["peaks"]["flops_per_second"]["float32"], numbers["peaks"]
  for side in numbers["sides"].values():
    seconds = side["median_seconds"]
    assert side["images"] == 24 and len(side["seconds"]) == 2
    assert side["images_per_second"] == pytest.approx(24 / seconds)
    assert side["flops_per_second"] == pytest.approx(side["flops"] / seconds)
    assert side["share_of_peak"] == pytest.approx(side["flops"] / seconds / peak)
    floors = side["flops"] / peak, side["bytes"] / bandwidth["bytes_per_second"]
    assert side["floor_seconds"] == pytest.approx(max(floors))
    assert side["compile_seconds"] > side["median_seconds"]
    # Two images of 48 x 24 x 3 bytes and more per pair, in the arguments alone.
    assert side["memory_bytes"] > 12 * 2 * 48 * 24 * 3
    assert side["ratios"] == {}
  assert numbers["memory"]["process_peak_bytes"] > 1e7
  printed = capsys.readouterr().out
  assert cells(printed)[0][:5] == ["side", "dtype", "images", "ms", "images/s"]
  assert "random values" not in printed, "pretrained weights change no timing"


def test_embed_counts_the_operations_that_the_cost_table_counts(capsys):
  config = setting.config_lib.load(AGW)
  method = setting.create_method(config, 6)
  expected = count_lib.measure(method, tuple(config.data.image_size)).operations
  flags = ["--identities", "6", "--repeats", "1", "--batch", "3", "--dtype", "float32"]
  side = benchmark.main(["embed", AGW, *flags])["sides"][AGW]
  assert side["images"] == 3
  # Beside the network: each pixel becomes a float, less the mean, divided by the deviation.
  assert side["flops"] / 3 == pytest.approx(expected, rel=0.05)
  assert side["flops"] / 3 > expected
  assert AGW in capsys.readouterr().out


def test_floor_is_the_longer_of_arithmetic_and_traffic(capsys):
  flags = ["--identities", "6", "--batch-pairs", "4", "--dtype", "float32", "--no-bytes"]
  found = benchmark.main(["floor", AGW, *flags, "--peaks", "1e9", "1e6"])[AGW]
  assert found["images"] == 8 and found["bytes"] is None
  config = setting.config_lib.load(AGW)
  forward = count_lib.measure(setting.create_method(config, 6), (48, 24)).operations
  # Forward, and about as much again for each of the two gradients.
  assert 2.2 < found["flops"] / forward < 4
  assert found["floor_seconds"]["this machine"] == pytest.approx(8 * found["flops"] / 1e9)
  assert floor.floor(2e9, 4e6, 1e9, 1e6) == 4 and floor.floor(2e9, 1e6, 1e9, 1e6) == 2
  assert "GFLOP per image" in capsys.readouterr().out


def variant(folder, **changes):
  """Writes a config file that is AGW's small one but for some values."""
  lines = [f"  config.{key} = {value!r}" for key, value in changes.items()]
  name = "_".join(key.replace(".", "_") for key in changes) or "plain"
  (folder / f"{name}.py").write_text(
    "from vireid_jax import config as config_lib\n\ndef get_config(arg=''):\n"
    f"  config = config_lib.load({AGW!r})\n" + "\n".join(lines) + "\n  return config\n"
  )
  return str(folder / f"{name}.py")


def count(path):
  """Returns the operations per image of a step of eight pairs."""
  flags = ["--identities", "6", "--batch-pairs", "8", "--dtype", "float32", "--no-bytes"]
  return benchmark.main(["floor", path, *flags])[path]["flops"]


def test_floor_counts_the_step_that_the_config_trains_with(tmp_path):
  plain = count(AGW)
  # Blocks of half the identities do the same work, and add up their gradients.
  assert plain < count(variant(tmp_path, **{"train.accumulate": 2})) < 1.05 * plain
  # The forward pass of every block once more: about a third of the whole.
  assert 1.2 < count(variant(tmp_path, **{"train.remat": "blocks"})) / plain < 1.4
  assert count(variant(tmp_path, **{"augment.pair": ("flip()",)})) > plain


@pytest.mark.slow  # compiles two whole steps
def test_step_counts_all_blocks_of_a_batch(tmp_path):
  flags = ["--identities", "6", "--repeats", "1", "--batch-pairs", "8", "--dtype", "float32"]
  path = variant(tmp_path, **{"train.accumulate": 2})
  side = benchmark.main(["step", path, *flags])["sides"][path]
  assert side["images"] == 16
  assert side["flops"] / 16 == pytest.approx(count(path), rel=0.02)
  # Each block reads all parameters and writes all gradients.
  parameters = parameter_bytes(path)
  assert side["bytes"] > 2 * 2 * parameters


def parameter_bytes(path):
  method = setting.create_method(setting.config_lib.load(path), 6)
  return 4 * count_lib.count(count_lib.abstract_variables(method, (48, 24))["params"])


def test_embed_counts_mirror_images(tmp_path):
  flags = ["--identities", "6", "--repeats", "1", "--batch", "3", "--dtype", "float32"]
  path = variant(tmp_path, **{"eval.flip": True})
  method = setting.create_method(setting.config_lib.load(AGW), 6)
  side = benchmark.main(["embed", path, *flags])["sides"][path]
  assert side["flops"] / 3 == pytest.approx(
    2 * count_lib.measure(method, (48, 24)).operations, rel=0.05
  )


def test_blocks_that_the_identities_do_not_fill_are_refused(tmp_path):
  path = variant(tmp_path, **{"train.accumulate": 3})
  for command in ("step", "floor"):
    with pytest.raises(UserError, match=r"config\.train\.accumulate = 3"):
      benchmark.main([command, path, "--batch-pairs", "8"])


def test_sizes_that_cannot_be_are_refused():
  for flags, message in (
    (["step", AGW, "--batch-pairs", "3"], "choose a multiple of 2, at least 4"),
    (["step", AGW, "--repeats", "0"], "--repeats is 0"),
    (["embed", AGW, "--batch", "0"], "--batch is 0"),
  ):
    with pytest.raises(UserError, match=message):
      benchmark.main(flags)


def test_a_missing_torch_is_explained(monkeypatch):
  monkeypatch.setitem(sys.modules, "torch", None)
  monkeypatch.delitem(sys.modules, "vireid_jax.speed.torch_sides", raising=False)
  with pytest.raises(UserError, match=r"pip install 'vireid_jax\[torch\]'"):
    benchmark.main(["step", AGW, "--baseline", "torch"])


def test_core_benchmarks_need_jax_flax_optax_orbax_numpy_alone():
  program = f"""
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] in {NOT_NEEDED}:
      raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from vireid_jax import benchmark
from vireid_jax.speed import device
device.PRODUCT_SIZE, device.COPY_LENGTH = {{"cpu": 64}}, {{"cpu": 1024}}
benchmark.main(["embed", {AGW!r}, "--repeats", "1", "--batch", "2", "--identities", "4"])
flags = ["--repeats", "1", "--identities", "4", "--batch-pairs", "4"]
benchmark.main(["step", {AGW!r}, *flags])
from vireid_jax.speed import ranking
whole = ranking.full_size_records()
ranking.full_size_records = lambda: whole.take(list(range(0, len(whole), 64)))
flags = ["--dimension", "8", "--trials", "1"]
benchmark.main(["ranking", *flags, "--repeats", "1", "--features", "1"])
benchmark.main(["reranking", *flags])
print("all done")
"""
  done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
  assert done.stdout.endswith("all done\n"), done.stderr


def test_peaks_are_work_over_the_fastest_call():
  side = device.product_side(jax.numpy.dtype("float32"))
  side.call()
  side.seconds = [2.0, 1.0, 4.0]
  assert device.rate(side, "flops") == 2 * 64**3
  side = device.copy_side()
  side.call()
  side.seconds = [0.5, 1.0]
  assert device.rate(side, "bytes") == 2 * 2 * 4 * 1024
