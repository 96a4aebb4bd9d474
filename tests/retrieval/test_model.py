"""A checkpoint in use: features equal the evaluation's, folders with other things in them."""

import io
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
import trained_models
from PIL import Image

import vireid_jax
from vireid_jax import embed, search
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import Records
from vireid_jax.data.prepared.source import ImageSet
from vireid_jax.evaluators.embed import Embedder, feature_methods
from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.runtime import mesh as mesh_lib

TOY = "toys.linear"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("run")
  return workdir, *trained_models.save(workdir, TOY)


@pytest.fixture
def clutter(tmp_path):
  """Three pictures, and whatever else lies in people's folders."""
  folder = tmp_path / "photos"
  paths = trained_models.pictures(folder / "deep" / "er", 2)
  trained_models.pictures(folder, 1, suffix=".jpeg", seed=5)[0].rename(folder / "no_suffix")
  (folder / "cut.png").write_bytes(paths[0].read_bytes()[:500])
  (folder / "notes.txt").write_text("not a picture")
  (folder / "empty.jpg").touch()
  (folder / ".hidden.png").write_bytes(paths[0].read_bytes())
  (folder / "gone.png").symlink_to(folder / "nowhere")
  Image.fromarray(np.zeros((8, 4), np.uint16)).save(folder / "thermal.png")
  return folder


SKIPPED = ["cut.png", "empty.jpg", "gone.png", "notes.txt", "thermal.png"]


def evaluated(saved, paths, modality):
  """Features of the pictures as an evaluation computes them."""
  _, config, method, variables = saved
  count = len(paths)
  records = Records(
    np.zeros(count), np.ones(count), np.full(count, modality), list(map(str, paths))
  )
  embedder = Embedder(
    feature_methods(method, ()),
    mesh_lib.make_mesh(),
    size=tuple(config.data.image_size),
    resize=config.data.resize,
    operations=config.augment,
    batch=4,
  )
  images = ImageSet(records, [path.read_bytes() for path in paths])
  (features,) = embedder(jax.device_put(variables), images).values()
  return l2_normalize(features)


def test_features_are_those_of_the_evaluation(saved, tmp_path):
  paths = trained_models.pictures(tmp_path / "a", 5)
  model = vireid_jax.load(saved[0], batch=2)
  for number, modality in enumerate(("visible", "infrared")):
    expected = evaluated(saved, paths, number)
    features = model.embed(paths, modality)
    assert features.dtype == np.float32 and features.shape == (5, model.feature_size)
    np.testing.assert_allclose(features, expected, atol=1e-6)
    arrays = [np.asarray(Image.open(path)) for path in paths]
    np.testing.assert_allclose(model.embed(arrays, modality), expected, atol=1e-6)
    np.testing.assert_allclose(model.embed(np.stack(arrays)[:1], modality), expected[:1], atol=1e-6)
    np.testing.assert_allclose(model.embed(str(paths[3]), modality), expected[3:4], atol=1e-6)
  assert not np.allclose(model.embed(paths, "visible"), features, atol=1e-2)
  raw = vireid_jax.load(saved[0], normalize=False).embed(paths, "infrared")
  np.testing.assert_allclose(l2_normalize(raw), features, atol=1e-6)
  assert not np.allclose(raw, features, atol=1e-2)


def test_rank_finds_each_picture_first(saved, tmp_path):
  paths = trained_models.pictures(tmp_path / "a", 6)
  model = vireid_jax.load(saved[0])
  features = model.embed(paths, "visible")
  found = model.rank(features[2:4], features, top=3)
  assert found.rows.shape == (2, 3) and found.rows[:, 0].tolist() == [2, 3]
  again = model.rank(features[2:4], model.searcher(features), top=3)
  np.testing.assert_array_equal(found.rows, again.rows)
  with pytest.raises(UserError, match="unknown modality 'infrard'; did you mean 'infrared'"):
    model.embed(paths, "infrard")
  with pytest.raises(UserError, match="expected uint8"):
    model.embed(np.zeros((8, 4, 3), np.float32), "visible")


def test_folders_with_other_things_are_read_and_reported(saved, clutter):
  model = vireid_jax.load(saved[0])
  found = model.embed_folder(clutter, "visible")
  assert found.names == ["deep/er/0.png", "deep/er/1.png", "no_suffix"]
  assert sorted(found.skipped) == SKIPPED
  assert found.skipped["notes.txt"] == "not a picture"
  assert "more than 8 bits" in found.skipped["thermal.png"]
  alone = model.embed([clutter / name for name in found.names], "visible")
  np.testing.assert_allclose(found.features, alone, atol=1e-6)
  with pytest.raises(UserError, match=r"1 of 2 pictures cannot be embedded; .*notes.txt"):
    model.embed([clutter / "no_suffix", clutter / "notes.txt"], "visible")


def test_embed_command_writes_features_and_names_what_it_skipped(saved, clutter, tmp_path, capsys):
  out = tmp_path / "new" / "features.npz"
  arguments = ["--checkpoint", str(saved[0]), "--images", str(clutter), "--modality", "infrared"]
  assert embed.main([*arguments, "--out", str(out)]) == 0
  said = capsys.readouterr()
  assert "skipped 5 files" in said.err and all(name in said.err for name in SKIPPED)
  assert "3 pictures, 8 dimensions" in said.out
  with np.load(out) as file:
    assert file["names"].tolist() == ["deep/er/0.png", "deep/er/1.png", "no_suffix"]
    np.testing.assert_allclose(np.linalg.norm(file["features"], axis=1), 1, atol=1e-6)
    assert '"modality": "infrared"' in str(file["facts"]) and "thermal.png" in str(file["skipped"])
  assert embed.main([*arguments, "--out", str(out), "--format", "json"]) == 0
  document = json.loads(capsys.readouterr().out)
  assert document["rows"] == [
    {
      "file": str(out),
      "pictures": 3,
      "dimensions": 8,
      "turned": 0,
      "skipped": 5,
      "modality": "infrared",
    }
  ]
  assert sorted(document["skipped_files"]) == SKIPPED and document["facts"]["step"] == 7
  assert embed.main([*arguments, "--out", str(out), "--format", "csv"]) == 0
  assert capsys.readouterr().out == (
    f"file,pictures,dimensions,turned,skipped,modality\n{out},3,8,0,5,infrared\n"
  )
  (clutter.parent / "empty").mkdir()
  arguments[3] = str(clutter.parent / "empty")
  assert embed.main([*arguments, "--out", str(out)]) == 1
  assert "has no readable picture" in capsys.readouterr().err


def test_search_command_prints_lists_writes_a_page_and_keeps_the_index(
  saved, clutter, tmp_path, capsys
):
  query = trained_models.pictures(tmp_path / "queries", 2, seed=3)[0].parent
  (query / "<b>.txt").write_text("no picture")
  page = tmp_path / "found.html"
  arguments = ["--checkpoint", str(saved[0]), "--gallery", str(clutter), "--query", str(query)]
  arguments += ["--query_modality", "infrared", "--top", "2", "--out", str(page)]
  assert search.main(arguments) == 0
  said = capsys.readouterr()
  assert "gallery: no index yet: embedded 3 pictures" in said.out
  assert "2 queries in 3 pictures" in said.out and "deep/er/1.png" in said.out
  assert "gallery: skipped 5 files" in said.err and "query: skipped 1 file:" in said.err
  text = page.read_text()
  assert text.count("<li>") == 4 and text.count("data:image/jpeg;base64,") == 6
  assert "http" not in text and "<script" not in text
  assert search.main(arguments) == 0
  assert "gallery: unchanged, 3 pictures" in capsys.readouterr().out


def test_checkpoints_that_cannot_be_used_say_why(saved, tmp_path):
  workdir = saved[0]
  with pytest.raises(UserError, match=r"holds no checkpoints; train first .*or give the --workdir"):
    vireid_jax.load(tmp_path)
  with pytest.raises(UserError, match=r"did you mean .*--step"):
    vireid_jax.load(workdir / "checkpoints" / "7")
  with pytest.raises(UserError, match=r"no checkpoint of step 8; there are \[7\]"):
    vireid_jax.load(workdir, step=8)
  with pytest.raises(UserError, match="batch is 0"):
    vireid_jax.load(workdir, batch=0)


def test_the_fingerprint_follows_weights_and_settings(tmp_path):
  def fingerprint(name, **options):
    trained_models.save(tmp_path / name, TOY, **options)
    return vireid_jax.load(tmp_path / name).fingerprint()

  def resize(config):
    config["data"]["resize"] = "bilinear"

  first = fingerprint("a")
  assert fingerprint("b") == first
  assert fingerprint("c", seed=1) != first
  assert fingerprint("d", change=resize) != first
  assert vireid_jax.load(tmp_path / "a", normalize=False).fingerprint() != first


def test_importing_the_package_loads_neither_jax_nor_numpy():
  code = "import sys, vireid_jax; print(sorted({'jax', 'numpy', 'flax'} & set(sys.modules)))"
  root = pathlib.Path(__file__).parents[2]
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
  assert done.stdout.strip() == "[]", done.stderr


def test_grey_pictures_are_read_alike_from_files_and_arrays(saved, tmp_path):
  grey = np.random.default_rng(0).integers(0, 256, (20, 10), np.uint8)
  stored = io.BytesIO()
  Image.fromarray(grey).save(stored, "PNG")
  (tmp_path / "grey.png").write_bytes(stored.getvalue())
  model = vireid_jax.load(saved[0])
  features = model.embed([tmp_path / "grey.png"], "infrared")
  np.testing.assert_allclose(model.embed([grey], "infrared"), features, atol=1e-6)
