"""Style of figures, and writing them: PNG and SVG next to the page, SVG within it."""

import dataclasses
import io
import pathlib
from collections.abc import Iterable

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from vireid_jax.common import files
from vireid_jax.common.data_uris import data_uri

# At this size text stays readable on a phone: 72 points are about an inch of its page.
SIZE = (4.4, 3.1)
DPI = 160
LABEL = 30  # characters
LINE = 0.16  # height of a legend's line, in inches
HANDLE, LETTER = 0.5, 0.066  # width of a legend's mark and of a letter, in inches
# Okabe and Ito's colours, distinguishable with any colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666", "#000000")
STYLE = {
  "font.size": 9,
  "axes.titlesize": 10,
  "axes.titleweight": "bold",
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.grid": True,
  "grid.color": "#e6e6e6",
  "axes.axisbelow": True,
  "legend.frameon": False,
  "legend.fontsize": 8,
  "lines.linewidth": 1.6,
  "axes.prop_cycle": matplotlib.cycler(color=COLORS),
  "svg.hashsalt": "vireid_jax",
  "text.parse_math": False,  # names of runs may hold a dollar sign
}


@dataclasses.dataclass(frozen=True)
class Drawn:
  """A figure on the page.

  Attributes:
    source: Data URI of the image.
    text: Alternative text.
    caption: Caption below the figure; may be empty.
    width, height: Size in CSS pixels, so that the page does not jump while it loads.
  """

  source: str
  text: str
  caption: str
  width: int
  height: int


class Folder:
  """Folder for the figures of a page, under distinct names."""

  def __init__(self, path: pathlib.Path):
    self.path = path
    self._names: set[str] = set()
    path.mkdir(parents=True, exist_ok=True)

  def save(self, figure: Figure, name: str, *, text: str, caption: str = "") -> Drawn:
    """Writes the figure as PNG and SVG, and returns it for the page.

    Args:
      figure: Figure, made within `style`.
      name: Words from which the file name is made.
      text: Alternative text.
      caption: Caption on the page.
    """
    data = self.write(figure, name)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Drawn(data_uri(data["svg"], "image/svg+xml"), text, caption, width, height)

  def write(self, figure: Figure, name: str) -> dict[str, bytes]:
    """Writes a figure that is not on the page; returns its content by format."""
    if figure.get_layout_engine() is not None:
      with style():
        figure.draw_without_rendering()
      figure.set_layout_engine("none")  # placed once; both formats keep it
    stem = self._stem(name)
    data = {kind: _render(figure, kind) for kind in ("png", "svg")}
    for kind, content in data.items():
      with files.replacing(self.path / f"{stem}.{kind}") as file:
        file.write(content)
    return data

  def _stem(self, name: str) -> str:
    kept = (c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in name)
    stem = "".join(kept).strip("_")[:100] or "figure"
    while stem in self._names:
      stem += "_"
    self._names.add(stem)
    return stem


def style(changes: dict[str, object] | None = None):
  """Returns the context in which to make figures, with changes of Matplotlib's settings."""
  return matplotlib.rc_context(STYLE | (changes or {}))


def new(rows: int = 1, columns: int = 1, *, size: tuple[float, float] = SIZE):
  """Returns a figure of the given size in inches and its axes, without pyplot's global state."""
  figure = Figure(figsize=size, layout="constrained")
  return figure, figure.subplots(rows, columns)


def colors(labels: Iterable[str]) -> dict[str, str]:
  """Returns the colour of each run, the same in all figures."""
  return {label: COLORS[index % len(COLORS)] for index, label in enumerate(labels)}


def legend_below(figure: Figure, axes) -> None:
  """Puts the legend below the axes, where it covers no line, and makes room for it."""
  handles, labels = axes.get_legend_handles_labels()
  if labels:
    columns = max(1, int(figure.get_figwidth() / (HANDLE + LETTER * max(map(len, labels)))))
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + LINE * (rows - 1))
    figure.legend(handles, labels, loc="outside lower left", ncols=columns)


def short(label: str) -> str:
  """Shortens a long label by cutting out its middle."""
  label = f" {label}" if label.startswith("_") else label  # legends skip a leading underscore
  return label if len(label) <= LABEL else f"{label[: LABEL // 2]}…{label[-LABEL // 2 :]}"


def _render(figure: Figure, kind: str) -> bytes:
  """Draws a figure once; `savefig` would draw it twice, first to learn its renderer."""
  buffer = io.BytesIO()
  with style():
    if kind == "png":
      figure.set_dpi(DPI)
      FigureCanvasAgg(figure).print_png(buffer)
    else:
      # The SVG is on the page, whose paper may be dark.
      for each in (figure, *figure.axes):
        each.patch.set_visible(False)
      # Without a date equal runs give equal bytes.
      FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
  return buffer.getvalue()
