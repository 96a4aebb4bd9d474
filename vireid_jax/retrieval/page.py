"""A page of ranked lists: a self-contained HTML file without scripts."""

import pathlib
from collections.abc import Sequence

from vireid_jax.common import files
from vireid_jax.common.data_uris import picture_uri
from vireid_jax.common.errors import UserError, printable
from vireid_jax.data.prepared import picture
from vireid_jax.retrieval.searcher import Ranking

TEMPLATE = "page.html"
HEIGHT = 160  # height of a thumbnail, in pixels


def write(
  path: pathlib.Path,
  *,
  title: str,
  facts: dict[str, str],
  queries: Sequence[tuple[str, pathlib.Path]],
  gallery: tuple[Sequence[str], pathlib.Path],
  ranking: Ranking,
  most: int = 50,
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
  """
  import jinja2

  loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
  environment = jinja2.Environment(
    loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
  )
  names, root = gallery
  lists = [
    {
      "name": printable(name),
      "picture": small_picture(file),
      "found": [
        {
          "name": printable(names[row]),
          "picture": small_picture(root / names[row]),
          "similarity": float(value),
        }
        for row, value in zip(rows, values, strict=True)
      ],
    }
    for (name, file), rows, values in zip(
      queries[:most], ranking.rows[:most], ranking.similarity[:most], strict=True
    )
  ]
  hidden = max(len(queries) - most, 0)
  page = environment.get_template(TEMPLATE).render(
    title=printable(title), facts=facts, lists=lists, hidden=hidden, height=HEIGHT
  )
  with files.writing(path, "--out"):
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, page)


def small_picture(path: pathlib.Path) -> str:
  """Returns a picture as a JPEG data URI, at most `HEIGHT` rows; '' if it cannot be read."""
  try:
    with picture.open_picture(path) as opened:
      opened.draft("RGB", (2 * HEIGHT, 2 * HEIGHT))  # decodes large JPEGs much faster
      opened.load()
      small = picture.upright(opened).convert("RGB")
  except (OSError, UserError):  # it was changed since it was embedded; the list is still valid
    return ""
  small.thumbnail((2 * HEIGHT, HEIGHT))
  return picture_uri(small, "jpeg")
