"""Where indexes are: per gallery, modality and checkpoint; what earlier versions wrote is found."""

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.retrieval import index, index_place

KEY, OTHER = "first-visible", "second-visible"


@pytest.fixture
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  return tmp_path / "cache" / "vireid_jax" / "index"


@pytest.fixture
def gallery(tmp_path):
  (tmp_path / "photos").mkdir()
  return str(tmp_path / "photos")


def save(path, key=KEY):
  path.parent.mkdir(parents=True, exist_ok=True)
  index.save(index.Index(key, ["a.png"], np.ones((1, 2), np.float32), {"a.png": (1, 2)}, {}), path)


def test_the_cache_keeps_one_index_per_gallery_modality_and_checkpoint(cache, gallery, tmp_path):
  places = [
    index_place.find(None, place, key, modality)
    for place in (gallery, str(tmp_path))
    for key in (KEY, OTHER)
    for modality in ("visible", "infrared")
  ]
  assert len({path for path, _ in places}) == 8 and {note for _, note in places} == {""}
  assert all(path.parent == cache and path.name.endswith(".index.npz") for path, _ in places)
  assert places[0][0].name.startswith("photos-") and ".visible." in places[0][0].name
  assert index_place.find(None, f"{gallery}/../photos/", KEY, "visible") == places[0]
  assert not cache.exists()


def test_a_named_folder_is_used_in_place_of_the_cache(cache, gallery, tmp_path):
  for given in (tmp_path / "new", tmp_path / "photos"):
    index_place.check(str(given), ["a", "b"])
    assert index_place.find(str(given), gallery, KEY, "visible")[0].parent == given


def test_a_named_file_is_used_unless_it_is_another_checkpoint_s(gallery, tmp_path):
  given = tmp_path / "my.npz"
  index_place.check(str(given), ["a"])
  assert index_place.find(str(given), gallery, KEY, "visible") == (given, "")
  save(given)
  before = given.read_bytes()
  assert index_place.find(str(given), gallery, KEY, "visible") == (given, "")
  other, note = index_place.find(str(given), gallery, OTHER, "visible")
  assert other.parent == tmp_path and other.name.startswith("my.") and other.suffix == ".npz"
  assert note == f"{given} is of another checkpoint or modality, and is kept"
  assert other != index_place.find(str(given), gallery, "third-visible", "visible")[0]
  assert given.read_bytes() == before


def test_one_file_for_several_galleries_is_refused(tmp_path):
  with pytest.raises(
    UserError, match=r"--index=.*my.npz is one file, but there are 2 galleries; n"
  ):
    index_place.check(str(tmp_path / "my.npz"), ["a", "b"])


def test_the_index_of_an_earlier_version_is_taken_over(cache, gallery):
  old = index_place.beside(gallery, "visible")
  assert old.name == "photos.visible.index.npz"
  save(old)
  path, note = index_place.find(None, gallery, KEY, "visible")
  assert note == f"taken over from {old}, which is no longer read and can be deleted"
  assert index.load(path).names == ["a.png"] and old.exists()
  assert index_place.find(None, gallery, KEY, "visible") == (path, "")


@pytest.mark.parametrize("damaged", [False, True])
def test_an_unusable_index_of_an_earlier_version_is_explained(cache, gallery, damaged):
  old = index_place.beside(gallery, "visible")
  save(old, OTHER)
  if damaged:
    old.write_bytes(old.read_bytes()[:80])
  path, note = index_place.find(None, gallery, KEY, "visible")
  assert note == f"{old}, of another checkpoint or damaged, is not read; it can be deleted"
  assert not path.exists() and old.exists()
