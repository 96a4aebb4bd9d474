"""The exported function: read by a process without our package, equal to the checkpoint's."""

import json
import pathlib
import subprocess
import sys

import jax
import jax.export
import numpy as np
import pytest
import trained_models
from PIL import Image

import vireid_jax
from vireid_jax import export, methods
from vireid_jax.common.records import MODALITIES
from vireid_jax.models.head import POOLINGS, pool
from vireid_jax.retrieval import export as export_lib

# What a stranger would write: no package of ours, no flax, no Pillow's resize of ours.
STRANGER = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import reader

retrieval = reader.load(sys.argv[1])
pictures = retrieval.read(sys.argv[3:])
found = {m: retrieval.embed(pictures, m) for m in retrieval.card["modalities"]}
found["one"] = retrieval.embed(pictures[:1], "infrared")
np.savez(sys.argv[2], **found)
strangers = {name.split(".")[0] for name in sys.modules} & {"flax", "vireid_jax", "orbax"}
print("loaded:", sorted(strangers))
"""


def read_elsewhere(folder, paths, out):
  """Runs STRANGER in an empty folder; returns its features."""
  elsewhere = out.parent / "elsewhere"
  elsewhere.mkdir()
  command = [sys.executable, "-c", STRANGER, str(folder), str(out), *map(str, paths)]
  done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert done.stdout.strip() == "loaded: []"
  return dict(np.load(out))


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.names())
def test_networks_equal_their_checkpoints_within_1e_5_without_flax(name, tmp_path):
  folder = check_features(name, tmp_path)
  for modality in MODALITIES:
    text = check_portable(folder, modality)
    products = text.count("stablehlo.convolution") + text.count("stablehlo.dot_general")
    assert products >= 20
    assert text.count("precision HIGHEST") + text.count("precision = [HIGHEST") >= products


def test_a_linear_method_equals_its_checkpoint_within_1e_5_without_flax(tmp_path):
  folder = check_features("toys.linear", tmp_path)
  assert "HIGHEST" in check_portable(folder, "visible")


def check_features(name, tmp_path):
  """Exports a checkpoint, compares its features elsewhere with ours; returns the folder."""
  workdir, folder = tmp_path / "run", tmp_path / "exported"
  trained_models.save(workdir, name)
  assert export.main(["--checkpoint", str(workdir), "--out", str(folder), "--raw"]) == 0
  paths = trained_models.pictures(tmp_path / "a", 3)
  found = read_elsewhere(folder, paths, tmp_path / "features.npz")
  model = vireid_jax.load(workdir, normalize=False)
  for modality in MODALITIES:
    expected = model.embed(paths, modality)
    assert np.abs(expected).max() > 0.1  # of a size at which 1e-5 says something
    np.testing.assert_allclose(found[modality], expected, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(found["one"], found["infrared"][:1], rtol=1e-5, atol=1e-5)
  check_card(json.loads((folder / "card.json").read_text()), model, name)
  return folder


def check_portable(folder, modality):
  """Asserts that nothing depends on the device that exported; returns the program's text."""
  exported = jax.export.deserialize((folder / f"{modality}.stablehlo").read_bytes())
  assert exported.platforms == ("cpu", "cuda", "tpu")
  assert str(exported.in_avals[-1].shape[0]) == "n" and exported.in_avals[-1].dtype == np.uint8
  assert "bf16" not in exported.mlir_module()
  return exported.mlir_module()


def check_card(card, model, name):
  assert card["method"] == name and card["step"] == 7 and card["unit_length"] is False
  assert card["image_size"] == [48, 24] and card["resize"] == "lanczos"
  assert card["feature_size"] == model.feature_size
  assert card["normalization"]["operations"]["infrared"] == ["normalize()"]
  read = set(card["modalities"]["visible"]["arguments"])
  assert not [weight for weight in read if "classifier" in weight]


def test_features_of_unit_length_are_the_default_and_only_read_weights_are_kept(tmp_path):
  trained_models.save(tmp_path / "run", "toys.linear")
  (tmp_path / "out").mkdir()
  model = vireid_jax.load(tmp_path / "run")
  export_lib.write(model, tmp_path / "out")
  path = trained_models.pictures(tmp_path / "a", 1, size=(48, 24))[0]
  pixels = np.asarray(Image.open(path))[None]
  # The reader in this process: another name, so that it is not taken for a module of ours.
  namespace = {"__name__": "reader"}
  exec(pathlib.Path(tmp_path / "out" / "reader.py").read_text(), namespace)
  retrieval = namespace["load"](tmp_path / "out")
  feature = retrieval.embed(pixels, "visible")
  np.testing.assert_allclose(np.linalg.norm(feature), 1, atol=1e-6)
  np.testing.assert_allclose(feature, model.embed(path, "visible"), atol=1e-6)
  assert retrieval.card["modalities"]["visible"]["arguments"] == [
    "batch_stats/mean",
    "params/visible",
  ]
  with pytest.raises(ValueError, match=r"expected uint8 \[n, \*\(48, 24, 3\)\]"):
    retrieval.embed(pixels[:, :9], "visible")


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_has_any_batch_size(kind):
  (count,) = jax.export.symbolic_shape("n")
  maps = jax.ShapeDtypeStruct((count, 4, 2, 3), np.float32)
  exported = jax.export.export(jax.jit(lambda maps: pool(maps, kind)))(maps)
  found = exported.call(np.full((5, 4, 2, 3), 2, np.float32))
  np.testing.assert_allclose(found, np.full((5, 3), 2), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agw", "mun", "tmpa"])
def test_average_pooling_has_any_batch_size(name, tmp_path):
  trained_models.save(tmp_path / "run", name, pooling="average")
  model = vireid_jax.load(tmp_path / "run", normalize=False)
  exported, _ = export_lib._export_used(model, "visible", export_lib._leaves(model))
  assert str(exported.out_avals[0].shape[0]) == "n"


def test_a_method_that_counts_its_images_is_refused(tmp_path, capsys):
  trained_models.save(tmp_path / "run", "toys.counting")
  assert export.main(["--checkpoint", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 1
  said = capsys.readouterr().err
  assert "error: the embed function of method 'toys.counting'" in said and "images.shape[0]" in said
