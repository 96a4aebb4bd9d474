"""Training from Python: what it takes, returns, prints, and refuses."""

import json

import numpy as np
import pytest
from toys import config as toy_config

import vireid_jax
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs") / "linear"
  return vireid_jax.train(toy_config.make(data_dir, steps=2), str(workdir))


def test_the_results_are_those_of_the_record_and_are_printed(run):
  record = json.loads((run.workdir / "eval" / "step_0000002.json").read_text())
  assert {name: result.to_json() for name, result in run.results.items()} == record["results"]
  text = str(run)
  assert "synthetic" in text and "linear" in text
  assert f"{100 * run.results['all/1-shot/random_choice'].mean['mAP']:.2f}" in text


def test_test_images_are_ranked_by_the_loaded_network(run):
  visible, infrared = (run.test_images(modality) for modality in MODALITIES)
  for found in (visible, infrared):
    assert found.pixels.dtype == np.uint8 and found.pixels.shape[::3] == (len(found), 3)
    assert len(found.identities) == len(found.cameras) == len(found.names) == len(found) > 20
  assert not set(visible.cameras) & set(infrared.cameras)
  model = vireid_jax.load(run.workdir)
  gallery = model.embed(visible.pixels, "visible")
  ranking = model.rank(gallery, gallery, top=4)
  assert ranking.rows.shape == (len(visible), 4)
  np.testing.assert_array_equal(visible.names[ranking.rows[:, 0]], visible.names)
  with pytest.raises(UserError, match="unknown modality 'thermal'"):
    run.test_images("thermal")


def test_what_is_no_config_is_refused_before_anything_is_made(tmp_path):
  with pytest.raises(UserError, match=r"config is \{'seed': 1\}; give a name such as 'mun_syn"):
    vireid_jax.train({"seed": 1}, tmp_path / "run")
  with pytest.raises(UserError, match="mun_synthetc"):
    vireid_jax.train("mun_synthetc:smoke", tmp_path / "run")
  with pytest.raises(UserError, match="workdir is empty; name a folder"):
    vireid_jax.train("mun_synthetic:smoke", "")
  assert not (tmp_path / "run").exists()
