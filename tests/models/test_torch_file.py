"""Files of torch.save: both formats, scores beside weights, damage, and pickles that would run."""

import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.models.convert import load_weights
from vireid_jax.models.weights.torch_file import Storage, TensorView

FOLDER = pathlib.Path(__file__).parents[1] / "golden" / "torch"
BASE = np.arange(12, dtype=np.float32).reshape(3, 4)


class Attack:
  """Creates a file when it is unpickled."""

  def __init__(self, path):
    self.path = str(path)

  def __reduce__(self):
    return os.mkdir, (self.path,)


def write_zip(path, content, files=()):
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("archive/data.pkl", content)
    for name, data in files:
      archive.writestr(f"archive/{name}", data)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_both_formats_give_every_dtype_and_view(name):
  weights = load_weights(FOLDER / name)
  expected = {
    "float": BASE,
    "transposed": BASE.T,
    "slice": BASE[1:, ::2],
    "half": BASE.astype(np.float16) / np.float16(3),
    "double": BASE.astype(np.float64) / 3,
    "counter": np.int64(7),
    "flag": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
    "parameter": BASE * 2,
  }
  bfloat = weights.pop("bfloat")
  assert bfloat.dtype.name == "bfloat16"
  np.testing.assert_array_equal(bfloat.astype(np.float32), BASE)
  assert set(weights) == set(expected)
  for key, value in expected.items():
    np.testing.assert_array_equal(weights[key], value, strict=True)


@pytest.mark.parametrize("name", ["with_scores.t", "with_scores_legacy.t"])
def test_state_dict_is_found_beside_scores_and_data_parallel_prefix_is_removed(name):
  weights = load_weights(FOLDER / name)
  assert list(weights)[:2] == ["0.weight", "0.bias"]
  assert len(weights) == 7
  assert weights["0.weight"].shape == (2, 1, 3, 3)
  assert weights["1.running_var"].tolist() == [1.0, 1.0]


def test_pickled_module_is_refused_by_name():
  with pytest.raises(UserError, match=r"whole_module.*asks to run torch\.nn\.modules.*Sequential"):
    load_weights(FOLDER / "whole_module.pth")


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path, zipped, protocol):
  content = pickle.dumps({"weight": Attack(tmp_path / "ran")}, protocol)
  path = tmp_path / "attack.pth"
  if zipped:
    write_zip(path, content)
  else:
    path.write_bytes(content)
  with pytest.raises(UserError, match=r"asks to run (posix|nt)\.mkdir.*nothing was run"):
    load_weights(path)
  assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "with_scores.t"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_file_is_named(tmp_path, name, kept):
  content = (FOLDER / name).read_bytes()
  path = tmp_path / name
  path.write_bytes(content[: int(len(content) * kept)])
  with pytest.raises(UserError, match=f"{name} cannot be read.*truncated or of another format"):
    load_weights(path)


def test_changed_byte_in_a_zip_is_noticed(tmp_path):
  content = bytearray((FOLDER / "zip.pth").read_bytes())
  content[content.index(BASE[1].tobytes())] ^= 1
  (tmp_path / "zip.pth").write_bytes(content)
  with pytest.raises(UserError, match="CRC"):
    load_weights(tmp_path / "zip.pth")


@pytest.mark.parametrize(
  "offset, shape, strides",
  [(0, (5,), (1,)), (3, (2,), (1,)), (0, (2, 2), (9, 1)), (-1, (1,), (1,)), (1, (2,), (-1,))],
)
def test_tensor_beyond_its_storage_is_refused(offset, shape, strides):
  view = TensorView(Storage("0", np.dtype(np.float32), 4), offset, shape, strides)
  with pytest.raises(ValueError, match=r"beyond|impossible"):
    view.read(np.zeros(4, np.float32))
