"""The config files and their variants, as tests go through them."""

import importlib.util
import pathlib

FOLDER = pathlib.Path(__file__).parents[1] / "configs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name, arg=""):
  """Returns get_config(arg) of configs/<name>.py."""
  spec = importlib.util.spec_from_file_location(f"config_{name}", FOLDER / f"{name}.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(arg)


def smoke(name, data_dir, variant=""):
  """Returns the smoke variant, reading and preparing data sets under data_dir.

  Args:
    name: of a file in configs/.
    data_dir: root of prepared data sets.
    variant: of the config, applied before.
  """
  config = load(name, f"{variant},smoke" if variant else "smoke")
  config.data.dir = str(data_dir)
  return config
