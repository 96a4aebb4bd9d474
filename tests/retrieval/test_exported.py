"""An export is loaded as a checkpoint is: equal features, and refusals that say what to do."""

import numpy as np
import pytest
import trained_models

import vireid_jax
from vireid_jax import embed, export
from vireid_jax.common.errors import UserError
from vireid_jax.retrieval import export as export_lib


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("exports")
  trained_models.save(root / "run", "toys.linear")
  trained_models.pictures(root / "photos", 5)
  export_lib.write(vireid_jax.load(root / "run"), root / "unit")
  export_lib.write(vireid_jax.load(root / "run", normalize=False), root / "raw")
  return root


def test_features_and_ranks_are_those_of_the_checkpoint(folders):
  run, unit, raw = (vireid_jax.load(folders / name, batch=2) for name in ("run", "unit", "raw"))
  assert (unit.method, unit.image_size) == (run.method, run.image_size)
  assert unit.feature_size == run.feature_size
  for modality in ("visible", "infrared"):
    expected = run.embed_folder(folders / "photos", modality)
    for model in (unit, raw):
      found = model.embed(folders / "photos", modality)
      np.testing.assert_allclose(found, expected.features, atol=1e-5)
    ranking = unit.rank(unit.embed_folder(folders / "photos", modality), expected, top=2)
    assert ranking.rows[:, 0].tolist() == [0, 1, 2, 3, 4]
  assert len({model.fingerprint() for model in (run, unit, raw)}) == 3


def test_commands_read_an_export(folders, tmp_path, capsys):
  words = ["--checkpoint", str(folders / "unit"), "--images", str(folders / "photos")]
  out = tmp_path / "features.npz"
  assert embed.main([*words, "--modality", "visible", "--out", str(out)]) == 0
  with np.load(out) as stored:
    assert stored["features"].shape == (5, 8) and '"step": 7' in str(stored["facts"])
  assert export.main(["--checkpoint", str(folders / "unit"), "--out", str(tmp_path / "b")]) == 1
  assert "is already an export; copy the folder" in capsys.readouterr().err


def test_what_an_export_cannot_give_is_refused(folders, tmp_path):
  with pytest.raises(UserError, match=r"only features of unit length; export again with --raw"):
    vireid_jax.load(folders / "unit", normalize=False)
  with pytest.raises(UserError, match=r"is an export of step 7, not 3; omit the step"):
    vireid_jax.load(folders / "unit", step=3)
  (tmp_path / "card.json").write_text('{"sha256": {"weights.npz": "0"}}')
  with pytest.raises(UserError, match=r"is not a complete export: .*weights\.npz.*; export again"):
    vireid_jax.load(tmp_path)


def test_a_folder_wants_every_file_to_be_a_picture(folders, tmp_path):
  trained_models.pictures(tmp_path / "photos", 2)
  model = vireid_jax.load(folders / "run")
  assert model.embed(tmp_path / "photos", "visible").shape == (2, 8)
  (tmp_path / "photos" / "notes.txt").write_text("no picture")
  with pytest.raises(UserError, match=r"1 of 3 pictures cannot be embedded; .*notes\.txt"):
    model.embed(str(tmp_path / "photos"), "visible")
  (tmp_path / "empty").mkdir()
  with pytest.raises(UserError, match="has no files; give a folder of pictures"):
    model.embed(tmp_path / "empty", "visible")
