"""Docstrings for the documentation site: formulas keep underscores, stars and lines."""

import re

import griffe


class Formulas(griffe.Extension):
  """Escapes what Markdown would read as emphasis, such as the first underscore of n(x)_p."""

  def on_instance(self, *, obj, **_):
    if obj.docstring:
      pieces = re.split(r"(`+[^`]*`+)", obj.docstring.value)
      pieces[::2] = [_escaped(text) for text in pieces[::2]]
      obj.docstring.value = "".join(pieces)


def _escaped(text: str) -> str:
  text = re.sub(r"(?<=[^\w\s])_(?=\w)|(?<=\w)\*(?=\w)", r"\\\g<0>", text)
  # A line break before each line that begins with "name = ".
  return re.sub(r"(?<=\S)\n(?=[ \w(),]{1,30} = )", "  \n", text)
