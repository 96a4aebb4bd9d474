"""The nine lines of the README under "From Python" run as they stand, from an empty folder."""

import guides
import pytest


def program():
  """Returns the lines."""
  return next(text for text in guides.python_blocks("../README.md") if "vireid_jax.train" in text)


def test_there_are_nine_lines():
  lines = program().splitlines()
  assert len(lines) == 9 and lines[0] == "import vireid_jax"
  compile(program(), "README.md", "exec")


@pytest.mark.slow
def test_the_lines_run_from_an_empty_folder(tmp_path, data_dir, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
  known = {}
  exec(program(), known)
  said = capsys.readouterr().out
  lists = said.splitlines()[-3:]
  people = set(known["day"].identities.tolist())
  for line in lists:
    words = line.split()
    assert words[0] == "person" and int(words[1]) in people
    assert len(words[-5:]) == 5 and set(map(int, words[-5:])) <= people
  assert said.count("vireid_synthetic/smoke (synthetic images), test, mun, step") == 2
  assert known["queries"].shape == (len(known["night"]), known["model"].feature_size)
