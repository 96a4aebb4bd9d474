"""Sections of options: what they keep, and what they refuse by which name."""

import dataclasses

import pytest

from vireid_jax import methods
from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.config import keys
from vireid_jax.methods.common import Metric


@dataclasses.dataclass(frozen=True)
class Owner:
  """Has a section whose defaults are not the dataclass's own."""

  metric: Metric = Metric("triplet", weight=2.0, margin=0.7)
  rate: float = 0.5


def given(metric):
  return Owner(**options.arguments(Owner, {"metric": metric}, "config.method.")).metric


@pytest.mark.parametrize(
  "mapping, expected",
  [
    ({}, Metric("triplet", 2.0, 0.7)),
    ({"weight": 0}, Metric("triplet", 0.0, 0.7)),
    ({"name": "wrt", "margin": 0.1}, Metric("wrt", 2.0, 0.1)),
    (Metric("wrt"), Metric("wrt", 1.0, 0.3)),
  ],
)
def test_a_section_keeps_the_defaults_of_its_owner(mapping, expected):
  found = given(mapping)
  assert found == expected
  assert type(found.weight) is float


@pytest.mark.parametrize(
  "mapping, message",
  [
    ({"wieght": 1.0}, "config.method.metric.wieght: no such option; did you mean 'weight'"),
    ({"weight": -1.0}, "config.method.metric.weight is -1.0; allowed: 0 to"),
    ({"margin": "0.3"}, "config.method.metric.margin is '0.3'; allowed: 0 to"),
    ({"name": "wtr"}, "config.method.metric.name: unknown metric loss 'wtr'; did you mean 'wrt'"),
    ({"\x1b[31m": 1}, "config.method.metric.\\x1b[31m: no such option; allowed: "),
    (3, "config.method.metric is 3; allowed: a section of name, weight, margin"),
    (None, "config.method.metric is None; allowed: a section of name, weight, margin"),
    (("wrt", 1.0), "config.method.metric is ('wrt', 1.0); allowed: a section of name, weight, "),
  ],
)
def test_what_a_section_refuses_is_named_by_its_whole_key(mapping, message):
  with pytest.raises(UserError) as caught:
    given(mapping)
  assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", methods.names())
def test_no_method_has_more_than_twenty_options(name):
  assert len(keys.flatten(methods.defaults(name))) <= 20
