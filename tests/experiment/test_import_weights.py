"""An official checkpoint becomes one of ours that evaluation and training read."""

import config_files
import golden_models
import jax
import numpy as np
import pytest
import trained_models

import vireid_jax
from vireid_jax.common.errors import UserError
from vireid_jax.config.parts import make_method
from vireid_jax.experiment import evaluate, train
from vireid_jax.experiment import imported as imported_lib
from vireid_jax.models import convert
from vireid_jax.training import first_state
from vireid_jax.training.checkpoint import Checkpoints

IDENTITIES = 10


def official_weights(config, path):
  """Saves drawn weights under the official names of the config's method; returns the variables."""
  method = make_method(config, num_classes=IDENTITIES, steps_per_epoch=1)
  shapes = first_state.abstract_variables(config.data.image_size, config.seed, method)
  table = convert.name_table(config.method.name)
  names = convert.export_weights(jax.tree.map(lambda x: np.zeros(x.shape), shapes), table)
  weights = {key: golden_models.draw(key, zero.shape) for key, zero in names.items()}
  np.savez(path, **weights, **{"some.bn.num_batches_tracked": np.int64(3)})
  return convert.import_weights(shapes, weights, table, as_published=True)[0]


def imported(name, data_dir, tmp_path):
  """Returns a smoke config, a workdir that holds its imported weights, and the variables."""
  config = config_files.smoke(f"{name}_synthetic", data_dir)
  config.eval.at_start = False
  variables = official_weights(config, tmp_path / "model.npz")
  ignored = imported_lib.import_weights(config, str(tmp_path / "model.npz"), tmp_path / "run")
  assert ignored == ["some.bn.num_batches_tracked"]
  return config, tmp_path / "run", variables


@pytest.mark.slow
def test_imported_mpanet_is_restored_and_trained_on(data_dir, tmp_path):
  config, workdir, expected = imported("mpanet", data_dir, tmp_path)
  meta = Checkpoints(workdir).meta(0)
  assert (meta["step"], len(meta["identities"])) == (0, IDENTITIES)
  run = train.build(config, workdir)
  state = run.checkpoints.restore(0, run.abstract)
  run.checkpoints.close()
  for name in ("params", "batch_stats", "constants"):
    jax.tree.map(np.testing.assert_array_equal, state.variables[name], expected[name])
  # As the published code leaves them after loading.
  jax.tree.map(
    np.testing.assert_array_equal,
    state.params["modality_classifiers"],
    state.collections["mean_classifiers"]["modality_classifiers"],
  )
  config.train.duration = "1 step"
  train.train(config, workdir)
  assert Checkpoints(workdir).latest() == 1
  with pytest.raises(UserError, match="already has checkpoints"):
    imported_lib.import_weights(config, str(tmp_path / "model.npz"), workdir)


def test_imported_agw_is_evaluated(data_dir, tmp_path):
  config, workdir, _ = imported("agw", data_dir, tmp_path)
  results = evaluate.evaluate(config, workdir)
  assert (workdir / "eval" / "step_0000000.json").exists()
  assert all(0 < result.mean["mAP"] < 1 for result in results.values())
  model = vireid_jax.load(workdir)
  assert (model.trained.step, model.method, model.feature_size) == (0, "agw", 64)


def test_weights_with_other_classes_are_listed(data_dir, tmp_path):
  config = config_files.smoke("mpanet_synthetic", data_dir)
  official_weights(config, tmp_path / "model.npz")
  weights = convert.load_weights(tmp_path / "model.npz")
  weights["classifier.weight"] = np.zeros((3, 448), np.float32)
  np.savez(tmp_path / "model.npz", **weights)
  with pytest.raises(UserError, match=r"\+ classifier\.weight \(3, 448\)"):
    imported_lib.import_weights(config, str(tmp_path / "model.npz"), tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_a_workdir_with_checkpoints_is_refused_before_anything_is_read(tmp_path, monkeypatch):
  trained_models.save(tmp_path / "run", "toys.linear")
  config = config_files.load("agw_synthetic", "smoke")
  monkeypatch.setattr(convert, "load_weights", pytest.fail)
  with pytest.raises(UserError, match="already has checkpoints"):
    imported_lib.import_weights(config, "model.pth", tmp_path / "run")


def test_weights_that_cannot_be_read_leave_no_workdir(tmp_path):
  config = config_files.load("agw_synthetic", "smoke")
  with pytest.raises(UserError):
    imported_lib.import_weights(config, str(tmp_path / "none.pth"), tmp_path / "run")
  assert not (tmp_path / "run").exists()
