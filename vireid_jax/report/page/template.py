"""Renders the page's data as HTML."""

import importlib.resources

NAME = "page.html.j2"


def render(content: dict) -> str:
  """Fills the template; text is escaped, and a missing name is an error."""
  import jinja2

  environment = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    loader=jinja2.FunctionLoader(_source),
  )
  return environment.get_template(NAME).render(content)


def _source(name: str) -> str:
  return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
