"""Parity with the authors' public evaluation code, on stored results."""

import json
import os
import pathlib

import numpy as np
import pytest

from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators.protocols import create
from vireid_jax.evaluators.ranking import evaluate_ranking
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.evaluators.similarity import similarity_matrix

scipy_io = pytest.importorskip("scipy.io")

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
OFFICIAL_SPLIT = os.environ.get("VIREID_OFFICIAL_SPLIT")
METRICS = ("mAP", "rank-1", "rank-5", "rank-10", "rank-20")


def read_permutations(path):
  """Reads the owner's file into the form that a data set's metadata has."""
  cells = scipy_io.loadmat(path)["rand_perm_cam"]
  return {
    str(camera): {
      str(identity): table.tolist() for identity, table in enumerate(cell.ravel(), start=1)
    }
    for camera, cell in enumerate(cells[:, 0], start=1)
  }


def percent(result):
  return [100 * result.mean[name] for name in METRICS]


@pytest.fixture(scope="module")
def golden():
  with np.load(GOLDEN / "evaluation.npz") as stored:
    return dict(stored)


def golden_task(golden):
  """Returns the arguments of `evaluate`: features, records, metadata."""
  query_cameras = golden["query_cams"]
  queries = len(query_cameras)
  names = [f"cam{camera}/query/{i}.jpg" for i, camera in enumerate(query_cameras)]
  records = Records(
    np.concatenate([golden["query_ids"], golden["gallery_ids"]]),
    np.concatenate([query_cameras, golden["gallery_cams"]]),
    np.repeat([INFRARED, VISIBLE], [queries, len(golden["gallery_ids"])]),
    np.concatenate([names, golden["gallery_names"]]),
  )
  features = np.concatenate([golden["query_features"], golden["gallery_features"]])
  metadata = {"gallery_permutations": read_permutations(GOLDEN / "rand_perm_cam.mat")}
  return features, records, metadata


@pytest.fixture(scope="module")
def golden_results(golden):
  return create("sysu_mm01").evaluate(*golden_task(golden))


@pytest.mark.parametrize("shots", [1, 10])
@pytest.mark.parametrize("mode", ["all", "indoor"])
def test_sysu_settings_through_the_permutation(golden, golden_results, mode, shots):
  got = percent(golden_results[f"{mode}/{shots}-shot/official"])
  np.testing.assert_allclose(got, golden[f"sysu_{mode}_shot{shots}"], atol=1e-4, rtol=0)


def test_reranked_settings_through_the_permutation(golden):
  protocol = create("sysu_mm01", galleries="official", shots=1)
  rerank = Reranking(query_only=True)
  found = protocol.evaluate(*golden_task(golden), rerank=rerank)
  for mode in ("all", "indoor"):
    got = percent(found[f"{mode}/1-shot/official"])
    # The reference sums in float16, which moves one of 3,580 lists (0.028 points) across a rank.
    np.testing.assert_allclose(got, golden[f"sysu_{mode}_shot1_rerank"], atol=0.03, rtol=0)


def test_the_two_gallery_variants_differ(golden_results):
  official, random_choice = (
    percent(golden_results[f"all/1-shot/{name}"]) for name in ("official", "random_choice")
  )
  assert np.abs(np.subtract(official, random_choice)).max() > 0.01
  assert np.abs(np.subtract(official, random_choice)).max() < 5


def check_ranking(found, cmc, map_and_minp):
  np.testing.assert_allclose(100 * found["cmc"], 100 * cmc, atol=1e-4, rtol=0)
  got = [100 * found["mAP"], 100 * found["mINP"]]
  np.testing.assert_allclose(got, 100 * map_and_minp, atol=1e-4, rtol=0)


def test_agw_on_its_gallery(golden):
  subset = golden["agw_gallery_indices"]
  gallery_cameras = golden["gallery_cams"][subset]
  found = evaluate_ranking(
    similarity_matrix(golden["query_features"], golden["gallery_features"][subset]),
    golden["query_ids"],
    golden["gallery_ids"][subset],
    exclude=(golden["query_cams"][:, None] == 3) & (gallery_cameras[None] == 2),
    unique_identities=True,
  )
  check_ranking(found, golden["agw_sysu_cmc"], golden["agw_sysu_map_minp"])


def test_agw_with_the_regdb_rule(golden):
  found = evaluate_ranking(
    similarity_matrix(golden["query_features"], golden["gallery_features"]),
    golden["query_ids"],
    golden["gallery_ids"],
  )
  check_ranking(found, golden["agw_regdb_cmc"], golden["agw_regdb_map_minp"])


def official_split(folder, seed, dimension):
  """Draws the features that the stored results were made with; returns (features, records)."""
  cells = scipy_io.loadmat(folder / "rand_perm_cam.mat")["rand_perm_cam"]
  tests = scipy_io.loadmat(folder / "test_id.mat")
  identities = next(value for key, value in tests.items() if not key.startswith("__")).ravel()
  rng = np.random.default_rng(seed)
  centre = rng.normal(size=(334, dimension))
  bias = rng.normal(size=(7, dimension)) * 0.3
  features, rows = [], []
  for camera in range(1, 7):
    for identity in identities.astype(int):
      for image in range(1, cells[camera - 1, 0].ravel()[identity - 1].shape[1] + 1):
        noise = rng.normal(size=dimension)
        features.append(centre[identity] * 0.55 + bias[camera] + noise)
        rows.append((identity, camera, f"cam{camera}/{identity:04d}/{image:04d}.jpg"))
  identity, camera, name = map(np.array, zip(*rows, strict=True))
  modality = np.where(np.isin(camera, (3, 6)), INFRARED, VISIBLE)
  return np.array(features, np.float32), Records(identity, camera, modality, name)


@pytest.mark.skipif(
  not OFFICIAL_SPLIT,
  reason="set VIREID_OFFICIAL_SPLIT to a folder with SYSU-MM01's rand_perm_cam.mat and test_id.mat "
  "and the results.json of the authors' evaluation; they come with the data set",
)
def test_official_split_at_full_size():
  folder = pathlib.Path(OFFICIAL_SPLIT)
  expected = json.loads((folder / "results.json").read_text())
  features, records = official_split(folder, expected["seed"], expected["dim"])
  assert int((records.modality == VISIBLE).sum()) == 6775
  metadata = {"gallery_permutations": read_permutations(folder / "rand_perm_cam.mat")}
  found = create("sysu_mm01", galleries="official").evaluate(features, records, metadata)
  counts = {"all/1": (301, 3803), "all/10": (3010, 3803), "indoor/1": (112, 2208)}
  counts["indoor/10"] = (1120, 2208)
  for setting, (gallery, valid) in counts.items():
    result = found[f"{setting}-shot/official"]
    want = expected["results_percent_mAP_r1_r5_r10_r20"][setting.replace("/", "_")]
    np.testing.assert_allclose(percent(result), want, atol=0.02, rtol=0)
    assert result.queries == 3803
    assert set(result.gallery_sizes) == {gallery}
    assert set(result.valid_queries) == {valid}
