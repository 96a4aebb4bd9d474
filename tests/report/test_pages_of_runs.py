"""Pages of trained runs in Chromium: RegDB's protocol, pictures of one's own, killed, and bare."""

import contextlib
import json
import shutil

import browser as browsers
import owner_trees
import pytest
from toys import config as toy_config

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

from vireid_jax.data.preparing import prepare
from vireid_jax.experiment import evaluate, train
from vireid_jax.report import page

pytestmark = pytest.mark.slow

PEOPLE = [(name, "train" if name < "e" else "test") for name in "abcdefgh"]
KINDS = ("regdb", "own", "killed", "bare")
SAID = {
  "regdb": ("visible to infrared", "infrared to visible", "re-ranked", "Verification; rates"),
  "own": ("visible to infrared", "infrared to visible"),
  "killed": ("Nothing was evaluated", "damaged"),
  "bare": ("no checkpoint, hence no lists", "Nothing was evaluated", "Nothing was logged"),
}


@pytest.fixture(scope="module")
def browser():
  with contextlib.contextmanager(browsers.launch)() as opened:
    yield opened


def trained(folder, name, tree):
  """Prepares a tree of pictures and trains a toy on it; returns the workdir."""
  prepare(name, manual_dir=str(tree), data_dir=str(folder / "prepared"))
  config = toy_config.smoke(folder / "prepared", f"agw_{name}")
  config.data.render = ""
  config.optim.lr_multipliers = {}
  config.sampler.num_identities = config.sampler.num_instances = 2
  config.log.every = "1 step"
  config.eval.rerank = config.eval.verification = name == "regdb"
  train.train(config, folder / name)
  evaluate.evaluate(config, folder / name)
  return folder / name


def killed(finished, workdir):
  """Copies what a run leaves that is killed while it writes a line, before its evaluation."""
  shutil.copytree(finished, workdir)
  shutil.rmtree(workdir / "eval")
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  logged = [line for line in lines if "loss" in json.loads(line)]
  (workdir / "metrics.jsonl").write_text("\n".join(["{", *logged[:2], logged[2][:40]]))
  return workdir


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """Workdirs by kind."""
  folder = tmp_path_factory.mktemp("runs")
  regdb = trained(folder, "regdb", owner_trees.regdb(folder / "tree", synthetic=False))
  own = trained(folder, "own", owner_trees.own(folder / "pictures", PEOPLE))
  (folder / "bare").mkdir()
  (folder / "bare" / "metrics.jsonl").write_text("")
  return {
    "regdb": regdb, "own": own, "killed": killed(own, folder / "killed"), "bare": folder / "bare",
  }  # fmt: skip


def check(browser, path):
  """Asserts that the page is quiet and shows everything whole, at all widths and colours."""
  for width in browsers.WIDTHS:
    for scheme in ("light", "dark"):
      seen = browsers.look(browser, path, width, scheme)
      assert (seen.said, seen.asked, seen.overflow()) == ([], [], 0)
      assert seen.all_loaded()
      assert (seen.cut("table"), seen.unfocusable()) == ([], [])
      if width == 1440:
        assert seen.hidden("table.results") == []
      seen.view.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_and_says_what_it_lacks(browser, runs, kind):
  path = page.write([str(runs[kind])])
  text = path.read_text(encoding="utf-8")
  assert [words for words in SAID[kind] if words not in text] == []
  assert "Error" not in text and "Synthetic images" not in text
  check(browser, path)


def test_so_is_one_of_all_of_them(browser, runs, tmp_path):
  path = page.write([str(folder) for folder in runs.values()], str(tmp_path / "all.html"))
  text = path.read_text(encoding="utf-8")
  assert text.count('class="card"') == len(KINDS) and "Error" not in text
  check(browser, path)
