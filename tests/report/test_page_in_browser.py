"""The page in a real browser, where Chromium and Playwright for Python are installed."""

import browser as browsers
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

import small_page
from test_report import plain, write

pytestmark = pytest.mark.slow

NAMES = ("first", "a_second_run_with_a_long_name" * 4)
_STUCK = """() => [...document.querySelectorAll('.scroll')].filter(box => box.offsetParent
    && box.scrollWidth > box.clientWidth).filter(box => {
  box.scrollLeft = 99999;
  const first = box.querySelector('tbody th[scope=row]').getBoundingClientRect();
  return Math.abs(first.left - box.getBoundingClientRect().left) > 1;
}).length"""
_UNLABELLED = """() =>
  [...document.querySelectorAll('table')].filter(table => !table.caption).length
  + [...document.querySelectorAll('th')].filter(cell => !cell.scope).length
  + [...document.querySelectorAll('img')].filter(image => !image.alt).length
  + [...document.querySelectorAll('.scroll')].filter(box => box.tabIndex !== 0
    || box.getAttribute('role') !== 'region' || !box.getAttribute('aria-label')).length"""


@pytest.fixture(scope="module")
def browser():
  yield from browsers.launch()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
  """Returns the pages of one run and of two."""
  found = []
  for names in (NAMES[:1], NAMES):
    folder = tmp_path_factory.mktemp("page")
    for name in names:
      write(folder / name, plain(0.1234, 0.9876), step=0)
      write(folder / name, plain(0.2345, 0.9999))
    with pytest.MonkeyPatch.context() as monkeypatch:
      found.append((small_page.write(folder, monkeypatch, *names), len(names)))
  return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", browsers.WIDTHS)
def test_quiet_self_contained_and_nothing_cut_off(browser, pages, width, scheme):
  for path, runs in pages:
    seen = browsers.look(browser, path, width, scheme)
    assert (seen.said, seen.asked, seen.overflow()) == ([], [], 0)
    assert seen.all_loaded()
    assert seen.view.locator(".wrong").count() == 5 * runs
    assert (seen.cut("table"), seen.unfocusable()) == ([], [])
    if width == 1440:
      assert seen.hidden("table.results") == []
    first = seen.view.locator("table.results tbody td").first
    assert first.bounding_box()["x"] + first.bounding_box()["width"] <= width
    assert seen.view.evaluate(_STUCK) == 0
    assert seen.view.evaluate(_UNLABELLED) == 0
    dark = seen.view.evaluate("getComputedStyle(document.body).backgroundColor") != (
      "rgb(255, 255, 255)"
    )
    assert dark == (scheme == "dark")
    seen.view.close()
