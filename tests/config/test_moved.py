"""Keys of earlier versions are refused wherever they are given, and the new key is named."""

import re

import command_lines
import config_files
import pytest

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common.errors import UserError
from vireid_jax.config import checks, keys, moved

SYSU = str(config_files.FOLDER / "agw_sysu.py")
KNOWN = {
  name: set(keys.flatten(config_lib.to_dict(config_lib.default_config(name, "sysu_mm01"))))
  for name in methods.names()
}


def owner(key):
  """Returns a method whose config has a key."""
  return next(name for name, known in KNOWN.items() if key in known)


@pytest.mark.parametrize("old", moved.MOVED)
def test_the_new_key_exists_and_the_old_one_is_refused_everywhere(old, tmp_path):
  new = moved.MOVED[old]
  name = owner(new)
  assert old not in KNOWN[name]
  message = re.escape(f"config.{old}: no such key; it is now config.{new}")

  path = str(config_files.FOLDER / f"{name}_sysu.py")
  with pytest.raises(UserError, match=message):
    command_lines.config("--config", path, f"--config.{old}=2")

  file = tmp_path / "mine.py"
  file.write_text(
    "from vireid_jax import config as config_lib\n\n\ndef get_config(arg=''):\n"
    f"  config = config_lib.default_config({name!r}, 'sysu_mm01')\n"
    f"  config.{old} = 2\n"
    "  return config\n"
  )
  with pytest.raises(UserError, match=message):
    checks.validate(config_lib.load(str(file)))

  config = config_files.load(f"{name}_sysu")
  section, _, key = old.rpartition(".")
  inside = config
  for part in filter(None, section.split(".")):
    inside = inside[part]
  with inside.unlocked():
    inside[key] = 2
  with pytest.raises(UserError, match=message):
    checks.validate(config)


@pytest.mark.parametrize("name", moved.REMOVED)
def test_a_removed_option_is_in_no_config_and_refused(name):
  assert not any(f"method.{name}" in known for known in KNOWN.values())
  message = (
    rf"config\.method\.{name}: no such key; it was removed and always has its default value now"
  )
  with pytest.raises(UserError, match=message):
    command_lines.config("--config", SYSU, f"--config.method.{name}=2")
  config = config_files.load("agw_sysu")
  config.method[name] = 2
  with pytest.raises(UserError, match=message):
    checks.validate(config)


@pytest.mark.parametrize("key", ["method.depth", "data.trial", "method.zzz", "metric_loss", ""])
def test_other_keys_are_not_explained(key):
  assert moved.explain(key) == ""
