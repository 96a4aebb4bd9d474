"""The index of a gallery: what is embedded again, what is kept, and when all is made anew."""

import dataclasses
import os

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.retrieval import index


@dataclasses.dataclass
class FakeModel:
  """Embeds a file as its length; files that begin with 'bad' are no pictures."""

  mark: str = "first"
  calls: list = dataclasses.field(default_factory=list)

  def fingerprint(self):
    return self.mark

  def embed_files(self, paths, modality, *, progress=False):
    self.calls.append([path.name for path in paths])
    contents = [path.read_bytes() for path in paths]
    bad = {row: "not a picture" for row, data in enumerate(contents) if data.startswith(b"bad")}
    rows = [[len(data), 1] for row, data in enumerate(contents) if row not in bad]
    return np.array(rows, np.float32).reshape(-1, 2), bad


@pytest.fixture
def gallery(tmp_path):
  folder = tmp_path / "photos"
  (folder / "b").mkdir(parents=True)
  for name, content in {"c.png": "xxx", "b/a.png": "x", "notes.txt": "bad"}.items():
    (folder / name).write_text(content)
  return folder


def update(model, gallery, modality="visible"):
  return index.update(model, gallery, modality, place(gallery, modality))


def place(gallery, modality="visible"):
  return gallery.parent / f"{modality}.npz"


def as_dict(found):
  return dict(zip(found.names, found.features[:, 0].tolist(), strict=True))


def test_an_index_is_made_and_reused(gallery):
  model, path = FakeModel(), place(gallery)
  found, changes = update(model, gallery)
  assert found.names == ["b/a.png", "c.png"] and as_dict(found) == {"b/a.png": 1, "c.png": 3}
  assert found.skipped == {"notes.txt": "not a picture"}
  assert str(changes) == "no index yet: embedded 2 pictures"
  written = path.stat().st_mtime_ns
  again, changes = update(model, gallery)
  assert model.calls == [["b/a.png", "c.png", "notes.txt"], []] or model.calls[1] == []
  assert as_dict(again) == as_dict(found) and again.skipped == found.skipped
  assert str(changes) == "unchanged, 2 pictures"
  assert path.stat().st_mtime_ns == written


def test_only_what_came_or_changed_is_embedded(gallery):
  model = FakeModel()
  update(model, gallery)
  (gallery / "a.png").write_text("xxxxx")  # comes
  (gallery / "c.png").write_text("xx")  # changes
  (gallery / "b/a.png").unlink()  # goes
  (gallery / "notes.txt").write_text("a picture now")
  found, changes = update(model, gallery)
  assert model.calls[1] == ["a.png", "c.png", "notes.txt"]
  assert as_dict(found) == {"a.png": 5, "c.png": 2, "notes.txt": 13}
  assert found.skipped == {}
  assert (changes.added, changes.changed, changes.removed, changes.kept) == (2, 1, 1, 0)
  assert as_dict(index.load(place(gallery))) == as_dict(found)


def test_a_file_of_the_same_size_with_another_time_is_read_again(gallery):
  model = FakeModel()
  update(model, gallery)
  os.utime(gallery / "c.png", ns=(1, 1))
  _, changes = update(model, gallery)
  assert model.calls[1] == ["c.png"] and changes.changed == 1 and changes.kept == 1


def test_another_checkpoint_or_a_broken_file_makes_it_anew(gallery):
  update(FakeModel(), gallery)
  model = FakeModel("second")
  _, changes = update(model, gallery)
  assert str(changes).startswith("the index belonged to another checkpoint or modality")
  assert len(model.calls[0]) == 3
  path = place(gallery)
  path.write_bytes(path.read_bytes()[:100])
  found, changes = update(model, gallery)
  assert str(changes) == "the index could not be read: embedded 2 pictures"
  assert as_dict(found) == as_dict(index.load(path))


def test_modalities_have_indices_of_their_own_and_an_index_inside_is_no_picture(gallery):
  update(FakeModel(), gallery)
  _, changes = update(FakeModel(), gallery, "infrared")
  assert changes.reason == "no index yet"
  inside = gallery / "index.npz"
  for _ in range(2):
    found, _ = index.update(FakeModel(), gallery, "visible", inside)
    assert "index.npz" not in (*found.names, *found.skipped)


def test_a_place_that_cannot_be_written_is_named(gallery):
  with pytest.raises(UserError, match=r"cannot write .*--index"):
    index.update(FakeModel(), gallery, "visible", gallery / "c.png" / "index.npz")
