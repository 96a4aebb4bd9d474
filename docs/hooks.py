"""The documentation site: root files and the notebook as pages, and links out of docs/."""

import json
import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
PAGES = {
  "index.md": "README.md",
  "changelog.md": "CHANGELOG.md",
  "contributing.md": "CONTRIBUTING.md",
  "quickstart.md": "docs/quickstart.ipynb",
}
NAMES = {source: name for name, source in PAGES.items()}


def on_files(files, *, config):
  """Adds the pages that are other files of the repository."""
  for name, source in PAGES.items():
    text = (ROOT / source).read_text(encoding="utf-8")
    content = notebook_page(json.loads(text)) if source.endswith(".ipynb") else text
    files.append(File.generated(config, name, content=content))
  return files


def notebook_page(notebook):
  """Returns a notebook as Markdown, whose links are checked like those of other pages."""
  parts = []
  for cell in notebook["cells"]:
    source = "".join(cell["source"])
    parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    parts += [_output(output) for output in cell.get("outputs", ())]
  return "\n\n".join(parts)


def _output(output):
  if "image/jpeg" in output.get("data", ()):
    encoded = "".join(output["data"]["image/jpeg"].split())
    # As HTML: a Markdown link would lose one of two slashes.
    return f'<img alt="output of this cell" src="data:image/jpeg;base64,{encoded}">'
  text = output.get("text") or output.get("data", {}).get("text/plain", "")
  return f"```text\n{''.join(text)}\n```"


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
    name = NAMES.get(place) or (place.removeprefix("docs/") if place.startswith("docs/") else "")
    if not name:
      return text
    return f"[{text}]({posixpath.relpath(name, posixpath.dirname(here))}{hash_}{anchor})"

  return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", relinked, markdown)
