"""Takes files and commands out of the guides in docs/, as a reader would type them."""

import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).parents[2]


def blocks(name):
  """Returns [(language, content, the paragraph before it)] of docs/<name>."""
  found, language, before, inside = [], None, "", []
  for line in (ROOT / "docs" / name).read_text(encoding="utf-8").splitlines():
    if line.startswith("```") and language is None:
      language, inside = line[3:], []
    elif line.startswith("```"):
      found.append((language, "\n".join(inside) + "\n", before))
      language, before = None, ""
    elif language is not None:
      inside.append(line)
    elif line.strip():
      before = f"{before} {line}"
  return found


def files(name):
  """Returns {path: content} of the blocks that a sentence with 'Save this as `path`' announces."""
  announced = [
    (re.findall(r"Save this as `([^`]+)`", before), content) for _, content, before in blocks(name)
  ]
  return {paths[-1]: content for paths, content in announced if paths}


def python_blocks(name):
  """Returns the other Python blocks, in order."""
  kept = files(name).values()
  return [
    content for language, content, _ in blocks(name) if language == "python" if content not in kept
  ]


def commands(name):
  """Returns the arguments behind `python` of every command, in order."""
  lines = [line for language, text, _ in blocks(name) if not language for line in text.splitlines()]
  return [shlex.split(line)[1:] for line in lines if line.startswith("python -m ")]
