"""The guide to trained networks: its Python, and that its commands have the options they name."""

import contextlib
import io

import guides
import pytest
import trained_models

from vireid_jax import embed, export, search

GUIDE = "use.md"
# Nothing is written beside the user's pictures.
KEPT = [
  *("cache", "exported", "features.npz", "night.png", "people.csv", "photos", "runs"),
  "search.html",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """The folder that the guide's examples speak of, with a tiny linear method."""
  trained_models.save(tmp_path / "runs" / "mun", "toys.linear")
  trained_models.pictures(tmp_path / "photos", 4)
  trained_models.pictures(tmp_path, 1, seed=9)[0].rename(tmp_path / "night.png")
  (tmp_path / "people.csv").write_text("path,identity\nphotos/0.png,7\nphotos/1.png,7\n")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.chdir(tmp_path)
  return tmp_path


def test_everything_in_the_guide_runs(folder, monkeypatch, capsys):
  mains = {"embed": embed.main, "search": search.main, "export": export.main}
  found = guides.commands(GUIDE)
  doors = [arguments[1].removeprefix("vireid_jax.") for arguments in found]
  assert doors == ["embed", "search", "search", "search", "export"]
  for arguments in found:
    assert mains[arguments[1].removeprefix("vireid_jax.")](arguments[2:]) == 0
  for name in ("features.npz", "search.html", "exported/card.json"):
    assert (folder / name).is_file()
  assert sorted(path.name for path in folder.iterdir()) == KEPT
  capsys.readouterr()
  notebook, stranger = guides.python_blocks(GUIDE)
  said, known = io.StringIO(), {}
  with contextlib.redirect_stdout(said):
    exec(notebook, known)
    monkeypatch.syspath_prepend(str(folder / "exported"))
    exec(stranger, known)
  lines = said.getvalue().splitlines()
  assert len(lines) == 4 and all(line.endswith(".png") for line in lines)
  assert abs(known["features"] - known["queries"]).max() < 1e-5
