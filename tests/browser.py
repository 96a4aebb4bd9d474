"""Pages in a headless Chromium: what they ask for, what they say, and what they cut off."""

import dataclasses
import pathlib
import shutil
from collections.abc import Iterator

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
)
WIDTHS = (390, 1440)  # of a phone and of a laptop, in CSS pixels
HEIGHT = 900

# A number is cut if it leaves its own cell, or if its cell can be reached by no scrolling.
_CUT = """selector => [...document.querySelectorAll(selector)].flatMap(table => {
  const box = table.closest('.scroll') || table.parentElement;
  const frame = box.getBoundingClientRect();
  const scrolls = ['auto', 'scroll'].includes(getComputedStyle(box).overflowX);
  const reach = frame.right + (scrolls ? box.scrollWidth - box.clientWidth - box.scrollLeft : 0);
  return [...table.querySelectorAll('th, td')].filter(cell => cell.offsetParent).filter(cell =>
    cell.scrollWidth > cell.clientWidth + 1 || cell.getBoundingClientRect().right > reach + 1
  ).map(cell => cell.textContent.trim());
})"""
_HIDDEN = """selector => [...document.querySelectorAll(selector)].flatMap(table =>
  [...table.querySelectorAll('th, td')].filter(cell => cell.offsetParent).filter(cell => {
    const frame = (table.closest('.scroll') || table).getBoundingClientRect();
    const place = cell.getBoundingClientRect();
    return place.left < frame.left - 1 || place.right > frame.right + 1;
  }).map(cell => cell.textContent.trim())
)"""
_LOADED = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
_LOAD = """async () => {
  for (const image of document.images) image.loading = 'eager';
  await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
}"""
_LOST = """() => [...document.querySelectorAll('*')].filter(element => {
  const style = getComputedStyle(element);
  return ['auto', 'scroll'].includes(style.overflowX)
    && element.scrollWidth > element.clientWidth && element.tabIndex < 0
    && element.tagName !== 'TEXTAREA' && !element.querySelector('a, button, input, [tabindex]');
}).map(element => element.outerHTML.slice(0, 80))"""


@dataclasses.dataclass(frozen=True)
class Seen:
  """A page as a browser shows it.

  Attributes:
    view: Playwright's page, still open.
    said: Console messages and errors.
    asked: Addresses requested besides the page itself and its data URIs.
  """

  view: object
  said: list[str]
  asked: list[str]

  def overflow(self) -> int:
    """Returns by how many pixels the document is wider than the window."""
    return self.view.evaluate(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )

  def cut(self, selector: str) -> list[str]:
    """Returns the cells of tables that no scrolling shows whole."""
    return self.view.evaluate(_CUT, selector)

  def hidden(self, selector: str) -> list[str]:
    """Returns the cells of tables that are not visible without scrolling sideways."""
    return self.view.evaluate(_HIDDEN, selector)

  def unfocusable(self) -> list[str]:
    """Returns the beginnings of elements that scroll sideways but not from the keyboard."""
    return self.view.evaluate(_LOST)

  def all_loaded(self) -> bool:
    """Decodes all images, lazy ones too; returns whether each has pixels."""
    self.view.evaluate(_LOAD)
    return self.view.evaluate(_LOADED)

  def screenshot(self, path: pathlib.Path, *, whole: bool = True) -> None:
    """Writes a PNG of the whole page, or of the window."""
    self.all_loaded()
    self.view.screenshot(path=str(path), full_page=whole)


def executable() -> str | None:
  """Returns the path of an installed Chromium; None without one."""
  return next((path for name in NAMES if (path := shutil.which(name))), None)


def launch() -> Iterator:
  """Yields a browser, as the body of a fixture; skips without Playwright or Chromium."""
  playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright for Python is not installed (pip install playwright)"
  )
  path = executable()
  if path is None:
    pytest.skip(f"no Chromium on the path (any of {', '.join(NAMES)})")
  with playwright.sync_playwright() as started:
    opened = started.chromium.launch(executable_path=path, args=list(FLAGS))
    yield opened
    opened.close()


def look(browser, page: pathlib.Path, width: int, scheme: str = "light") -> Seen:
  """Opens a file in a window of a width.

  Args:
    browser: Browser of `launch`.
    page: Path of the page.
    width: Width of the window in CSS pixels.
    scheme: 'light' or 'dark', the reader's preferred colours.
  """
  view = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
  said, asked, address = [], [], page.absolute().as_uri()
  view.on("console", lambda message: said.append(message.text))
  view.on("pageerror", lambda error: said.append(str(error)))
  view.on("request", lambda request: asked.append(request.url))
  view.goto(address)
  found = Seen(view, said, asked)
  found.all_loaded()
  asked[:] = [url for url in asked if url != address and not url.startswith("data:")]
  return found
