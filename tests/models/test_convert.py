"""Formats without pickle, hub names, name tables there and back, and what does not fit."""

import socket
import sys
import threading
import types

import flax.traverse_util
import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_methods
from safetensors import numpy as safetensors

from vireid_jax import methods
from vireid_jax.common.errors import UserError
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import ResNet
from vireid_jax.models.weights import hub

TENSORS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float16([1, 2])}


def save_npz(path, tensors):
  np.savez(path, **tensors)


FORMATS = {
  "w.npz": save_npz,
  "w.safetensors": lambda path, tensors: safetensors.save_file(tensors, path),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_without_pickle(tmp_path, name):
  FORMATS[name](tmp_path / name, TENSORS)
  weights = convert.load_weights(tmp_path / name)
  assert set(weights) == set(TENSORS)
  for key, value in TENSORS.items():
    np.testing.assert_array_equal(weights[key], value, strict=True)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_truncated_file_is_named(tmp_path, name, kept):
  path = tmp_path / name
  FORMATS[name](path, TENSORS)
  path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
  with pytest.raises(UserError, match=f"{name} cannot be read.*truncated or of another format"):
    convert.load_weights(path)


def test_npz_with_pickled_objects_is_refused(tmp_path):
  np.savez(tmp_path / "w.npz", a=np.array([{"x": 1}], dtype=object))
  with pytest.raises(UserError, match=r"w\.npz cannot be read"):
    convert.load_weights(tmp_path / "w.npz")


def test_missing_and_empty_files_are_named(tmp_path):
  with pytest.raises(UserError, match=r"no file of weights at .*resnet51"):
    convert.load_weights(tmp_path / "resnet51")
  np.savez(tmp_path / "empty.npz")
  with pytest.raises(UserError, match="holds no tensors"):
    convert.load_weights(tmp_path / "empty.npz")


def fake_hub(monkeypatch, download, *, cached=None, offline=False, answer=lambda url: None):
  constants = types.SimpleNamespace(ENDPOINT="https://hub.invalid", HF_HUB_OFFLINE=offline)
  module = types.SimpleNamespace(
    hf_hub_download=download, try_to_load_from_cache=lambda *place: cached, constants=constants
  )
  monkeypatch.setitem(sys.modules, "huggingface_hub", module)
  monkeypatch.setattr(hub, "_try", answer)


@pytest.mark.parametrize(
  "name, file", [("hf://timm/r50", "model.safetensors"), ("hf://timm/r50/x/w.npz", "x/w.npz")]
)
def test_hub_name_is_repository_and_file(monkeypatch, tmp_path, name, file):
  asked = []

  def download(repository, wanted):
    asked.append((repository, wanted))
    path = tmp_path / wanted.replace("/", "_")
    FORMATS["w.npz" if wanted.endswith(".npz") else "w.safetensors"](path, TENSORS)
    return str(path)

  fake_hub(monkeypatch, download)
  assert set(convert.load_weights(name)) == set(TENSORS)
  assert asked == [("timm/r50", file)]


def test_hub_without_network_says_how_to_use_a_file(monkeypatch):
  def download(repository, wanted):
    raise ConnectionError("no route to host")

  fake_hub(monkeypatch, download)
  with pytest.raises(UserError, match=r"no route to host.*--config\.pretrained=/path"):
    convert.load_weights("hf://timm/resnet50.tv_in1k")


def never(*_):
  raise AssertionError("it must not be asked")


def test_a_cached_file_needs_no_network(monkeypatch, tmp_path):
  FORMATS["w.npz"](tmp_path / "w.npz", TENSORS)
  fake_hub(monkeypatch, never, cached=str(tmp_path / "w.npz"), answer=never)
  assert set(convert.load_weights("hf://timm/r50/w.npz")) == set(TENSORS)


def test_a_hub_that_does_not_answer_is_given_up_and_said_in_one_line(monkeypatch):
  forever = threading.Event()
  monkeypatch.setattr(hub, "SECONDS", 0.05)
  answers = {
    r"hub\.invalid cannot be reached: no answer in 0 seconds": lambda url: forever.wait(60),
    r"hub\.invalid cannot be reached: no route": lambda url: OSError("no route"),
  }
  for words, answer in answers.items():
    fake_hub(monkeypatch, never, answer=answer)
    with pytest.raises(UserError, match=words) as error:
      convert.load_weights("hf://timm/r50")
    assert "\n" not in str(error.value) and "--config.pretrained=/path" in str(error.value)
  forever.set()
  fake_hub(monkeypatch, never, offline=True, answer=never)
  with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
    convert.load_weights("hf://timm/r50")


def test_a_file_that_the_hub_lacks_is_said_without_the_client_s_words(monkeypatch):
  class NotFoundError(Exception):
    response = types.SimpleNamespace(status_code=404)

  def download(*place):
    raise NotFoundError("404 Client Error. (Request ID: Root=1)")

  fake_hub(monkeypatch, download)
  with pytest.raises(UserError, match="there is no such file, or it needs") as error:
    convert.load_weights("hf://timm/r50")
  assert "Error" not in str(error.value)


def test_a_port_that_nobody_listens_on_is_found_out():
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    found = hub._try(f"http://127.0.0.1:{free.getsockname()[1]}")
  assert isinstance(found, OSError) and "refused" in str(found)


def test_hub_without_its_package_names_the_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, "huggingface_hub", None)
  with pytest.raises(UserError, match=r"pip install 'vireid_jax\[hub\]'"):
    convert.load_weights("hf://timm/resnet50.tv_in1k")


def test_hub_name_of_another_form_is_refused():
  with pytest.raises(UserError, match="'hf://resnet50' is not a hub name"):
    convert.load_weights("hf://resnet50")


def test_unknown_model_names_the_nearest():
  with pytest.raises(UserError, match=r"no table of PyTorch names for 'mpanet2'.*'mpanet'"):
    convert.name_table("mpanet2")


# Facts of torchvision's ResNets: tensors without fc and counters.
TORCHVISION_TENSORS = {18: 100, 34: 180, 50: 265}


@pytest.mark.parametrize("depth", TORCHVISION_TENSORS)
def test_torchvision_names_round_trip_bit_equal(depth):
  network = ResNet(depth, numerics=Numerics("float32", "xla"))
  images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  shapes = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=True), images)
  generator = np.random.default_rng(0)
  drawn = jax.tree.map(lambda x: generator.standard_normal(x.shape, np.float32), dict(shapes))
  table = convert.name_table("torchvision")
  weights = convert.export_weights(drawn, table)
  assert len(weights) == TORCHVISION_TENSORS[depth]
  assert weights["conv1.weight"].shape == (64, 3, 7, 7)
  assert weights["layer2.0.downsample.1.running_var"].shape == ((512,) if depth == 50 else (128,))
  back, ignored = convert.import_weights(
    shapes, {**weights, "fc.bias": np.zeros(1000), "bn1.num_batches_tracked": np.int64(0)}, table
  )
  assert ignored == ["fc.bias", "bn1.num_batches_tracked"]
  jax.tree.map(np.testing.assert_array_equal, back, drawn)


def test_both_stems_start_from_the_same_weights():
  method = methods.create(
    {"name": "agw"}, num_classes=3, steps_per_epoch=1, numerics=Numerics("float32")
  )
  network = ResNet(50, numerics=Numerics("float32", "xla"))
  shapes = jax.eval_shape(
    lambda x: network.init(jax.random.key(0), x, train=True),
    jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32),
  )
  drawn = jax.tree.map(lambda x: np.full(x.shape, np.prod(x.shape), np.float32), dict(shapes))
  table = convert.name_table("torchvision")
  variables, _ = convert.import_weights(
    golden_models.abstract(method), convert.export_weights(drawn, table), table
  )
  backbone = variables["params"]["backbone"]
  assert backbone["visible"]["stem"]["conv1"]["kernel"][0, 0, 0, 0] == 7 * 7 * 3 * 64
  np.testing.assert_array_equal(
    backbone["visible"]["stem"]["conv1"]["kernel"], backbone["infrared"]["stem"]["conv1"]["kernel"]
  )
  assert isinstance(backbone["shared"]["layer4"]["block2"]["conv3"]["kernel"], np.ndarray)
  # What ImageNet has no weights for is left as it was; here, a shape.
  kept = variables["params"]["head"]["classifier"]["kernel"]
  assert isinstance(kept, jax.ShapeDtypeStruct)


@pytest.mark.parametrize(
  "name, unused", [("agw", 690), ("caj", 690), ("deen", 691), ("mcja", 66), ("mpanet", 54)]
)
def test_official_names_cover_every_tensor_and_round_trip(name, unused):
  method = methods.create(
    {"name": name},
    num_classes=golden_models.CLASSES,
    steps_per_epoch=1,
    numerics=Numerics("float32"),
  )
  official = {
    key: np.broadcast_to(np.float32(index), shape)
    for index, (key, shape) in enumerate(golden_models.shapes(name).items())
  }
  table = convert.name_table(name)
  variables, ignored = convert.import_weights(golden_models.abstract(method), official, table)
  assert len(ignored) == unused
  back = convert.export_weights(variables, table)
  assert back.keys() | set(ignored) == official.keys()
  assert not back.keys() & set(ignored)
  for key, value in back.items():
    np.testing.assert_array_equal(value, official[key], strict=True)
  flat = flax.traverse_util.flatten_dict(variables)
  assert all(isinstance(leaf, np.ndarray) for leaf in flat.values())


def test_caj_and_its_successor_have_the_tensors_of_agw():
  assert golden_models.shapes("caj") == golden_models.shapes("agw")
  assert golden_models.shapes("cajplus") == golden_models.shapes("agw")


def test_agw_leaves_out_just_the_parts_that_its_forward_pass_skips():
  names = set(golden_models.shapes("agw"))
  table = convert.name_table("agw")
  ignored = {name for name in names if table.ignores(name)}
  assert "NL_3.2.W.1.num_batches_tracked" in ignored
  assert "bottleneck.weight" not in ignored
  # Which of a stream's tensors are used depends on the network: asked for first, ignored second.
  assert "visible_module.visible.layer3.5.conv2.weight" in ignored


def small_case():
  method = methods.create(
    {"name": "mpanet", **methods.smallest("mpanet")},
    num_classes=3,
    steps_per_epoch=1,
    numerics=Numerics("float32"),
  )
  shapes = golden_models.abstract(method)
  table = convert.name_table("mpanet")
  filled = jax.tree.map(lambda x: np.ones(x.shape, np.float32), shapes)
  return shapes, convert.export_weights(filled, table), table


def test_differences_are_listed_with_minus_and_plus():
  shapes, weights, table = small_case()
  weights["classifier.weight"] = np.zeros((5, 448), np.float32)
  weights["extra.weight"] = np.zeros((2, 2), np.float32)
  del weights["bn_neck.running_mean"]
  with pytest.raises(UserError) as error:
    convert.import_weights(shapes, weights, table)
  assert str(error.value).split("\n")[1:] == [
    "  - bn_neck.running_mean (448,)",
    "  + classifier.weight (5, 448)",
    "  - classifier.weight (3, 448)",
    "  + extra.weight (2, 2)",
  ]


def test_long_differences_are_cut():
  shapes, weights, table = small_case()
  with pytest.raises(UserError, match=rf"and {len(weights) - 20} more"):
    convert.import_weights(shapes, {}, table)


def test_average_takes_the_classifiers_place_only_as_the_published_code_does():
  shapes, weights, table = small_case()
  weights["visible_classifier_.weight"] = np.full((3, 448), 7, np.float32)
  for as_published, expected in ((False, 1), (True, 7)):
    variables, _ = convert.import_weights(shapes, weights, table, as_published=as_published)
    classifiers = variables["params"]["modality_classifiers"]
    assert (classifiers["visible"] == expected).all()
    assert (classifiers["infrared"] == 1).all()
    assert (variables["mean_classifiers"]["modality_classifiers"]["visible"] == 7).all()


def test_two_stems_that_differ_have_no_single_torchvision_network():
  method = small_methods.make("agw", Numerics("float32"))
  variables = jax.tree.map(lambda x: np.ones(x.shape), golden_models.abstract(method))
  variables["params"]["backbone"]["infrared"]["stem"]["bn1"]["scale"] += 1
  with pytest.raises(UserError, match=r"both 'bn1\.weight' for torchvision and differ"):
    convert.export_weights(variables, convert.name_table("torchvision"))
