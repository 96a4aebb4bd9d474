"""The documentation site builds without a warning, loads nothing from elsewhere, lists the API."""

import pathlib
import re
import subprocess
import sys

import pytest

from vireid_jax import losses, methods
from vireid_jax.evaluators import protocols

pytest.importorskip("mkdocstrings_handlers.python")
ADDED = ("changelog.html", "contributing.html", "quickstart.html")  # by docs/hooks.py
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  """The built site: text by name of its page."""
  folder = tmp_path_factory.mktemp("site")
  command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  pages = sorted(folder.rglob("*.html"))
  return {str(page.relative_to(folder)): page.read_text(encoding="utf-8") for page in pages}


def test_every_page_of_the_repository_is_on_the_site(site):
  pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
  expected = {page.replace(".md", ".html") for page in pages}
  assert set(site) == expected | {"404.html", "index.html", *ADDED}
  assert "Quick start" in site["index.html"] and "unreleased" in site["changelog.html"]


def test_nothing_is_loaded_from_other_hosts(site):
  for name, text in site.items():
    loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]*)\"", text)
    loaded += re.findall(r"<link\b(?=[^>]*stylesheet)[^>]*\bhref=\"([^\"]*)\"", text)
    assert len(loaded) > 1
    assert not [place for place in loaded if re.match(r"(https?:)?//", place)], name


def test_links_of_the_readme_lead_to_pages(site):
  for name in ("index.html", "changelog.html", "contributing.html"):
    links = re.findall(r"<a href=\"([^\"#]+)[\"#]", site[name])
    local = [link for link in links if "://" not in link]
    assert len(local) > 10 and set(local) <= set(site) | {"."}, name
  assert "docs/methods.md</a>" in site["index.html"]


def test_the_notebook_is_a_page_with_its_outputs(site):
  said = site["quickstart.html"]
  assert said.count('src="data:image/jpeg;base64,') == 2
  assert 'href="report.html"' in said and "rank-1" in said


def test_the_api_lists_every_loss_method_and_protocol(site):
  ids = {name: set(re.findall(r"id=\"(vireid_jax[\w.]+)\"", text)) for name, text in site.items()}
  said = {found.rpartition(".")[2] for found in ids["api/losses.html"]}
  assert {name for name in losses.__all__ if name.islower()} <= said
  expected = {f"vireid_jax.methods.{name}" for name in methods.names()}
  assert expected <= ids["api/methods.html"]
  expected = {f"vireid_jax.evaluators.protocols.{name}.Protocol" for name in protocols.names()}
  assert expected <= ids["api/evaluators.html"]
  assert {"vireid_jax.train", "vireid_jax.load"} <= ids["api/vireid_jax.html"]


def test_formulas_keep_their_underscores_and_lines(site):
  said = site["api/losses.html"]
  assert "n(x)_p = min_{q != p} d(x_p, x_q)" in said
  assert re.search(r"decoupling = mean over p", said) and "||<br />\nspecific" in said
