"""The documentation site: files of the repository's root as pages, and links out of docs/."""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
PAGES = {
  "index.md": "README.md",
  "changelog.md": "CHANGELOG.md",
  "contributing.md": "CONTRIBUTING.md",
}
NAMES = {source: name for name, source in PAGES.items()}


def on_files(files, *, config):
  """Adds the pages that are files of the repository's root."""
  for name, source in PAGES.items():
    text = (ROOT / source).read_text(encoding="utf-8")
    files.append(File.generated(config, name, content=text))
  return files


def on_page_markdown(markdown, *, page, config, files):
  """Makes links hold on the site: what is no page there keeps its text alone."""
  here = page.file.src_uri
  source = PAGES.get(here, f"docs/{here}")

  def relinked(match):
    text, target = match.groups()
    path, hash_, anchor = target.partition("#")
    if "://" in target or not path:
      return match[0]
    place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    inside = place.startswith("docs/")
    name = place.removeprefix("docs/") if inside else NAMES.get(place)
    if name is None:
      return text
    return f"[{text}]({posixpath.relpath(name, posixpath.dirname(here))}{hash_}{anchor})"

  return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", relinked, markdown)
