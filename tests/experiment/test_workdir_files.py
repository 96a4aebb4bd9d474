"""The names of a workdir's files are in one place, and that place knows every file of a run."""

import ast
import pathlib

import vireid_jax
from vireid_jax.common import workdir_files

PACKAGE = pathlib.Path(vireid_jax.__file__).parent
NAMES = {value for key, value in vars(workdir_files).items() if key.isupper()}
WORDS = {"best", "eval", "report", "tensorboard"}  # keys and commands are called so too


def strings(path):
  tree = ast.parse(path.read_text(encoding="utf-8"))
  return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]


def test_no_other_module_writes_a_name_out():
  paths = [path for path in PACKAGE.rglob("*.py") if path.name != "workdir_files.py"]
  found = {path.name: sorted((NAMES - WORDS) & set(map(str, strings(path)))) for path in paths}
  assert len(paths) > 150 and {name: names for name, names in found.items() if names} == {}
