"""The page in a real browser, where Chromium and Playwright for Python are installed."""

import browser as browsers
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

import small_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
  yield from browsers.launch()


def test_quiet_self_contained_and_never_wider_than_the_window(browser, tmp_path, monkeypatch):
  names = ("first", "a_second_run_with_a_long_name" * 4)
  path = small_page.write(tmp_path, monkeypatch, *names)
  for width in browsers.WIDTHS:
    seen = browsers.look(browser, path, width)
    assert (seen.said, seen.asked, seen.overflow()) == ([], [], 0)
    assert seen.all_loaded()
    assert seen.view.locator(".wrong").count() == 5 * len(names)
    seen.view.close()
