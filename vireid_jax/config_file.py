"""Reads config files without the command line's flags."""

import importlib.util
import pathlib

from ml_collections import ConfigDict

from vireid_jax.errors import UserError


def load(path: str) -> ConfigDict:
  """Returns the config of 'FILE.py' or 'FILE.py:VARIANT[,VARIANT]'.

  Raises:
    UserError: no such file, or no such variant.
  """
  file, _, variant = path.partition(":")
  if not pathlib.Path(file).is_file():
    raise UserError(f"--config: no file {file!r}; give a path such as configs/mun_synthetic.py")
  spec = importlib.util.spec_from_file_location("_config_file", file)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant)
