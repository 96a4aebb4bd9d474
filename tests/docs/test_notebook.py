"""The notebook of the quick start: committed with small outputs, and it runs as it is."""

import ast
import json
import pathlib

import guides
import pytest

PATH = guides.ROOT / "docs" / "quickstart.ipynb"
CELLS = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def test_the_notebook_is_small_and_was_run_in_order():
  assert PATH.stat().st_size <= 300_000
  assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
  for cell in CODE:
    ast.parse("".join(cell["source"]))
    assert not any(output["output_type"] == "error" for output in cell["outputs"])


def test_the_outputs_name_no_place_of_one_machine():
  said = json.dumps([cell["outputs"] for cell in CODE])
  for place in ("/root", "/home", "/work", "site-packages", str(pathlib.Path.home())):
    assert place not in said


def pictures(cells):
  return sum("image/jpeg" in output.get("data", {}) for cell in cells for output in cell["outputs"])


def printed(cell):
  return "".join(text for output in cell["outputs"] for text in output.get("text", ""))


def test_the_outputs_are_those_of_the_cells():
  assert pictures(CODE) == 2
  assert "rank-1" in printed(CODE[2]) and "Grad-CAM" in printed(CODE[4])


def mean_ap(record):
  results = json.loads(record.read_text())["results"]
  return results["all/1-shot/random_choice"]["mean"]["mAP"]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, data_dir, monkeypatch):
  nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
  monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
  notebook = nbformat.read(PATH, 4)
  place = {"metadata": {"path": str(tmp_path)}}
  nbclient.NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=place).execute()
  done = [cell for cell in notebook.cells if cell.cell_type == "code"]
  assert pictures(done) == 2
  workdir = tmp_path / "runs" / "notebook"
  untrained, trained = (mean_ap(workdir / "eval" / f"step_{step:07d}.json") for step in (0, 100))
  assert untrained + 0.003 < trained < 0.4
  assert f"mAP {100 * trained:9.1f} ±" in printed(done[2])
  lines = printed(done[5]).splitlines()[-3:]
  values = [float(line.split()[0]) for line in lines]
  assert 1 >= values[0] >= values[1] >= values[2] > -1
