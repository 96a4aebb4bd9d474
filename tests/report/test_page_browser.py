"""The page in a real browser, where one is installed with Playwright for Python."""

import shutil

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")
playwright = pytest.importorskip("playwright.sync_api")

import small_page  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path")


@pytest.fixture(scope="module")
def browser():
  with playwright.sync_playwright() as started:
    opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
    yield opened
    opened.close()


def test_quiet_self_contained_and_never_wider_than_the_window(browser, tmp_path, monkeypatch):
  names = ("first", "a_second_run_with_a_long_name" * 4)
  path = small_page.write(tmp_path, monkeypatch, *names)
  for width in (390, 1440):
    view = browser.new_page(viewport={"width": width, "height": 844})
    said, asked = [], []
    view.on("console", lambda message, said=said: said.append(message.text))
    view.on("pageerror", lambda error, said=said: said.append(str(error)))
    view.on("request", lambda request, asked=asked: asked.append(request.url))
    view.goto(path.as_uri())
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert view.evaluate("document.documentElement.scrollWidth") == width
    loaded = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert view.evaluate(loaded)
    assert view.locator(".wrong").count() == 5 * len(names)
    view.close()
