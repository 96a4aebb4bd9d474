"""The page of ranked lists in Chromium: quiet, and readable on a phone and in the dark."""

import contextlib

import browser as browsers
import numpy as np
import pytest
import trained_models

from vireid_jax.retrieval import page
from vireid_jax.retrieval.searcher import Ranking

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
  with contextlib.contextmanager(browsers.launch)() as opened:
    yield opened


@pytest.fixture(scope="module", params=[5, 12])
def written(request, tmp_path_factory):
  """A page of three queries, one without a list, among pictures with long names."""
  count, folder = request.param, tmp_path_factory.mktemp("page")
  paths = trained_models.pictures(folder / "photos", count, size=(160, 80))
  paths[0] = paths[0].rename(folder / "photos" / f"{'site_camera-' * 12}x.png")
  paths[1] = paths[1].rename(folder / "photos" / f"{'w' * 200}.png")
  rows = np.tile(np.arange(count), (3, 1))
  rows[2] = -1
  similarity = np.where(rows < 0, np.nan, -0.125).astype(np.float32)
  names = [path.name for path in paths]
  page.write(
    folder / "search.html",
    title=f"Search in {'a/' * 60}",
    facts={"gallery": "g" * 200},
    queries=[(path.name, path) for path in paths[:3]] + [("more.png", paths[0])],
    gallery=(names, folder / "photos"),
    ranking=Ranking(np.vstack([rows, rows[:1]]), np.vstack([similarity, similarity[:1]])),
    most=3,
  )
  return folder / "search.html", count


@pytest.mark.parametrize("width", browsers.WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_quiet_and_never_wider_than_the_window(browser, written, width, scheme):
  seen = browsers.look(browser, written[0], width, scheme)
  assert (seen.said, seen.asked, seen.overflow(), seen.unfocusable()) == ([], [], 0, [])
  assert seen.all_loaded()
  narrow = "[...document.querySelectorAll('figcaption')].filter(e => e.scrollWidth > e.clientWidth)"
  assert seen.view.evaluate(f"{narrow}.length") == 0
  sizes = seen.view.evaluate(
    "[...document.querySelectorAll('li img')].map(e => [e.clientWidth, e.clientHeight])"
  )
  assert len(sizes) == 2 * written[1]
  least = 130 if width == 1440 and written[1] == 5 else 85
  assert all(least <= wide <= 200 and 150 <= high <= 400 for wide, high in sizes), sizes
  ground = seen.view.evaluate("getComputedStyle(document.body).backgroundColor")
  assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 27)"}[scheme]


def test_an_anchor_leads_to_its_query(browser, written):
  seen = browsers.look(browser, written[0], 390)
  seen.view.locator("a[href='#query-2']").first.click()
  top = seen.view.evaluate("document.getElementById('query-2').getBoundingClientRect().top")
  assert abs(top) < 20
  assert seen.view.locator(".note").bounding_box()["y"] < 0
