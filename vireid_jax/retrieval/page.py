"""A page of ranked lists: a self-contained HTML file without scripts."""

import os
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Sequence

from vireid_jax.common import files, paths
from vireid_jax.common.data_uris import picture_uri
from vireid_jax.common.errors import UserError, printable
from vireid_jax.data.prepared import picture
from vireid_jax.retrieval import pictures
from vireid_jax.retrieval.searcher import Ranking

TEMPLATE = "page.html"
HEIGHT = 160  # maximum height of a thumbnail, in pixels
FEW = 5  # lists of up to this length are shown larger
LARGE_HEIGHT = 320
MOST_COLUMNS = 10
_BREAKS = re.compile(r"(?<=[/\\_.\-\s])(?=[^/\\_.\-\s])")  # after a separator


def write(
  path: pathlib.Path,
  *,
  title: str,
  facts: dict[str, str],
  queries: Sequence[tuple[str, pathlib.Path]],
  gallery: tuple[Sequence[str], pathlib.Path],
  ranking: Ranking,
  most: int = 50,
  label: Callable[[int, float], str] | None = None,
) -> None:
  """Writes the page.

  Args:
    path: Path of the page.
    title: Heading.
    facts: Facts to show below the heading, by label.
    queries: (name, file) of each query.
    gallery: Names of the gallery's pictures, and the folder to which they are relative.
    ranking: Ranking of the gallery for the queries.
    most: Maximum number of queries to show. A thumbnail takes about 5 kB, so a page of 50 lists of
      10 takes about 3 MB.
    label: Function (gallery row, similarity) -> text that is shown with a listed picture.
  """
  columns = min(ranking.rows.shape[1], MOST_COLUMNS)
  height = LARGE_HEIGHT if columns <= FEW else HEIGHT
  names, root = gallery

  def shown(name: str, file: pathlib.Path) -> dict:
    return {
      "name": printable(name),
      "link": link(file, path),
      "picture": small_picture(file, height),
    }

  lists = [
    {
      **shown(name, file),
      "found": [
        {
          **shown(names[row], root / names[row]),
          "similarity": similarity,
          "label": printable(label(row, similarity)) if label else "",
        }
        for row, similarity in found
      ],
    }
    for (name, file), found in zip(queries[:most], ranking.lists()[:most], strict=True)
  ]
  page = _render(
    title=printable(title),
    facts=facts,
    lists=lists,
    hidden=max(len(queries) - most, 0),
    columns=columns,
  )
  with files.writing(path, "--out"):
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, page)


def _render(**values) -> str:
  import jinja2

  loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
  environment = jinja2.Environment(
    loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
  )
  environment.filters["wrapped"] = wrapped
  return environment.get_template(TEMPLATE).render(values)


def wrapped(text: str):
  """Returns a text as HTML that may wrap after each separator of a path or a file name."""
  import markupsafe

  return markupsafe.Markup("<wbr>").join(_BREAKS.split(text))


def link(file: pathlib.Path, page: pathlib.Path) -> str:
  """Returns the address of a file relative to a page, so that both can be moved together.

  From a bucket there is no way back to this machine; there the address is that of the file here.
  """
  if paths.is_remote(page):
    return pictures.location(file).as_uri()
  start = pictures.location(page).parent
  relative = os.path.relpath(pictures.location(file), start)
  return urllib.parse.quote(os.fsencode(relative.replace(os.sep, "/")))


def small_picture(path: pathlib.Path, height: int = HEIGHT) -> str:
  """Returns a picture as a JPEG data URI, at most `height` rows; '' if it cannot be read."""
  try:
    with picture.open_picture(path) as opened:
      opened.draft("RGB", (2 * height, 2 * height))  # decodes large JPEGs much faster
      opened.load()
      small = picture.upright(opened).convert("RGB")
  except (OSError, UserError):  # it was changed since it was embedded; the list is still valid
    return ""
  small.thumbnail((2 * height, height))
  return picture_uri(small, "jpeg")
