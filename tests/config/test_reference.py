"""docs/config.md: every key of every config, with a line of its own."""

import pathlib

import pytest
from ml_collections import ConfigDict

from vireid_jax import methods
from vireid_jax.config import checks, reference
from vireid_jax.config.descriptions import DESCRIPTIONS
from vireid_jax.evaluators import protocols

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "config.md"


def test_the_page_is_what_the_command_prints():
  assert PAGE.read_text() == reference.markdown() + "\n", "run: vireid list config > docs/config.md"


def test_every_common_key_has_a_description_and_no_other_has():
  assert DESCRIPTIONS.keys() == checks.options().keys()


def test_no_key_is_hidden_by_a_method_of_the_config():
  """`--config.optim.update=...` could not be set: ConfigDict has a method of that name."""
  keys = [*checks.options()]
  keys += [key for name in methods.names() for key in reference.method_options(name)]
  words = {word for key in keys for word in key.split(".")}
  assert not {word for word in words if hasattr(ConfigDict, word)}


@pytest.mark.parametrize("name", methods.names())
def test_a_method_has_at_most_twenty_options_each_described(name):
  options = reference.method_options(name)
  assert 5 < len(options) <= 20
  rows = reference.rows(methods.find(name), "method.")
  assert [row.split("`")[1] for row in rows] == [f"method.{key}" for key in options]
  assert all(len(description(row)) > 10 for row in rows)


@pytest.mark.parametrize("name", protocols.names())
def test_every_protocol_describes_its_options(name):
  rows = reference.rows(protocols.find(name), "eval.protocol.")
  assert rows and all(len(description(row)) > 10 for row in rows)


def description(row):
  return row.rsplit(" | ", 1)[1].strip(" |")
