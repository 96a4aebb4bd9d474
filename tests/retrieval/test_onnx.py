"""ONNX models: their features in onnxruntime equal the checkpoint's; single operations too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trained_models

import vireid_jax
from vireid_jax import export, methods
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from vireid_jax.retrieval import onnx_export  # noqa: E402 (needs onnx)

SIZE = (8, 6)


def run(model, images):
  """Returns the features that onnxruntime computes."""
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  session = onnxruntime.InferenceSession(model, options)
  return session.run(["features"], {"images": images})[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.names())
def test_every_method_equals_its_checkpoint_within_1e_4(name, tmp_path):
  check_features(name, tmp_path)


@pytest.mark.slow
def test_a_baseline_on_a_transformer_equals_its_checkpoint_within_1e_4(tmp_path):
  check_features("agw", tmp_path, backbone="vit_ti16")


def test_a_linear_method_equals_its_checkpoint_within_1e_4(tmp_path):
  check_features("toys.linear", tmp_path)


def check_features(name, tmp_path, **options):
  """Exports a checkpoint with --onnx, and compares features of both modalities."""
  workdir, folder = tmp_path / "run", tmp_path / "exported"
  trained_models.save(workdir, name, **options)
  words = ["--checkpoint", str(workdir), "--out", str(folder), "--raw", "--onnx"]
  assert export.main(words) == 0
  model = vireid_jax.load(workdir, normalize=False)
  pixels = np.random.default_rng(0).integers(0, 256, (3, *model.image_size, 3), np.uint8)
  for modality in MODALITIES:
    expected = model.embed(pixels, modality)
    assert np.abs(expected).max() > 0.1  # of a size at which 1e-4 says something
    path = str(folder / f"{modality}.onnx")
    np.testing.assert_allclose(run(path, pixels), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run(path, pixels[:1]), expected[:1], rtol=1e-4, atol=1e-4)
  assert vireid_jax.load(folder, normalize=False).feature_size == model.feature_size


OPERATIONS = {
  "softmax": lambda x: jax.nn.softmax(x, axis=-1),
  "gelu": lambda x: jax.nn.gelu(x, approximate=False),
  "tanh gelu": lambda x: jax.nn.gelu(x),
  "layer norm": lambda x: (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1),
  "powers": lambda x: jnp.square(x) + x**3 + jnp.abs(x) ** 1.5 + jnp.log(1 + jnp.exp(x)),
  "choices": lambda x: jnp.where((x > 0) & (x != 1) | (x <= -1), x, -x) + jnp.clip(x, -0.5, 0.5),
  "order": lambda x: jnp.sign(x - 0.1) * jnp.minimum(x, 0.3) - x.min(1, keepdims=True),
  "a row": lambda x: x[:, 2] + x[:, -1],
  "rows": lambda x: x[:, 1:5:2].reshape(len_of(x), -1),
  "a grid": lambda x: x[:, 1:6:2, 0:4:3].sum(1),
  "pairs": lambda x: x[:, jnp.array([0, 3, 1]), jnp.array([2, 0, 1])],
  "a table": lambda x: x[:, :, :, jnp.array([[2, 1], [0, 0]])],
  "outer axes": lambda x: x[:, jnp.array([0, 2]), :, jnp.array([1, 2])],
  "places": lambda x: jax.lax.slice_in_dim(x, 1, 4, axis=2).sum(2),
  "the largest": lambda x: jnp.argmax(x, axis=1).astype(jnp.float32),
  "positions": lambda x: x * jnp.arange(SIZE[1]).reshape(1, 1, -1, 1) + jax.lax.iota(float, 3),
  "edges": lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=0.5),
  "stacks": lambda x: (
    jnp.stack([x, 2 * x], axis=2)[:, :, 1] + jnp.split(x, 2, 1)[0].sum(1)[:, None]
  ),
  "products": lambda x: jnp.einsum("nhwc,nhvc->nwv", x, x) @ jnp.ones((SIZE[1], 4)),
  "depthwise": lambda x: jax.lax.conv_general_dilated(
    x,
    jnp.arange(27.0).reshape(3, 3, 1, 3),
    (2, 1),
    "SAME",
    rhs_dilation=(1, 2),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=3,
  ),
}


def len_of(x):
  """The number of images, which may be symbolic."""
  return x.shape[0]


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_equal_those_of_jax(name):
  """Most networks use only some of these; a new method may use any."""

  def function(weights, images):
    x = images.astype(jnp.float32) / 64 - weights[0]
    y = OPERATIONS[name](x)
    return y.reshape(images.shape[0], -1)

  weights = [np.array([2.0, 1.5, 1.0], np.float32)]
  images = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), np.uint8)
  made = onnx_export.convert(function, weights, SIZE, method="x", notes={"a": "b"})
  expected = np.asarray(jax.jit(function)(weights, images))
  np.testing.assert_allclose(run(made.SerializeToString(), images), expected, rtol=1e-5, atol=1e-5)


def test_what_onnx_lacks_is_named():
  def function(weights, images):
    return jnp.sort(images.astype(jnp.float32), axis=1).reshape(images.shape[0], -1)

  with pytest.raises(UserError, match=r"method 'x' cannot be exported to ONNX.*operation sort"):
    onnx_export.convert(function, [], SIZE, method="x", notes={})


def test_without_onnx_the_error_says_how_to_install_it(monkeypatch, tmp_path, capsys):
  real = export.export.__globals__["importlib"].util.find_spec
  monkeypatch.setattr(
    "importlib.util.find_spec", lambda name, *rest: None if name == "onnx" else real(name, *rest)
  )
  words = ["--checkpoint", str(tmp_path), "--out", str(tmp_path / "out"), "--onnx"]
  assert export.main(words) == 1
  assert "pip install 'vireid_jax[onnx]'" in capsys.readouterr().err
