"""Odd values for every key of every method: `validate` takes them or says what is wrong."""

import random

import command_lines
import config_files
import odd_values
import pytest

from vireid_jax import methods
from vireid_jax.common.errors import UserError
from vireid_jax.config import checks
from vireid_jax.config import keys as config_keys

DATASETS = {"agw": "sysu", "mpanet": "regdb", "mun": "llcm", "tmpa": "synthetic"}
DATASETS |= {"caj": "regdb", "deen": "llcm", "dns": "synthetic", "mcja": "sysu", "saai": "regdb"}
DATASETS |= {"pmt": "synthetic"}
SECTIONS = ("data", "sampler", "augment", "method", "optim", "train", "checkpoint", "eval", "log")


def keys(config):
  """All flat keys, and the sections themselves."""
  flat = config_keys.flatten(config_keys.plain(config), whole=("optim.lr_multipliers",))
  return {
    *flat,
    *SECTIONS,
    "eval.protocol",
    "eval.corruption",
    "eval.rerank_options",
    "eval.affinity_options",
  }


def complaint(config):
  """What `validate` says; empty where it is content. Everything but a UserError is raised."""
  try:
    checks.validate(config)
  except UserError as error:
    return str(error)
  return ""


@pytest.mark.parametrize("method", methods.names())
def test_any_value_of_any_key_passes_or_is_explained(method):
  name = f"{method}_{DATASETS[method]}"
  found = {"refused": 0, "passed": 0}
  for key, value in odd_values.draws(
    keys(config_files.load(name)), seed=hash_of(method), count=400
  ):
    config = config_files.load(name, "smoke")
    odd_values.put(config, key, value)
    message = complaint(config)
    found["refused" if message else "passed"] += 1
    assert not message or (len(message) < 3000 and message.isprintable()), (key, message)
  assert found["refused"] > 250 and found["passed"] > 5, found


def test_any_text_behind_any_key_of_the_command_line_passes_or_is_explained():
  path, rng = f"{config_files.FOLDER / 'tmpa_sysu.py'}:smoke", random.Random(5)
  known = sorted(keys(config_files.load("tmpa_sysu")))
  texts = (*odd_values.TEXTS, *map(repr, odd_values.TUPLES), *map(repr, odd_values.FLOATS), "{}")
  refused = 0
  for key in rng.choices(known, k=300):
    try:
      override = f"--config.{key}={rng.choice(texts)}"
      checks.validate(command_lines.config("--config", path, override))
    except UserError as error:
      refused += 1
      assert str(error).isprintable() and len(str(error)) < 3000, (key, error)
  assert 200 < refused < 300


def hash_of(text):
  """A seed that is the same in every process."""
  return sum(map(ord, text))
