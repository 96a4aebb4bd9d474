"""Finds config files by path or by name."""

import pathlib
import re
from collections.abc import Iterator

from vireid_jax.common.errors import UserError, nearest, shown

HERE = pathlib.Path("configs")
_PACKAGE = pathlib.Path(__file__).parents[1]


def installed() -> pathlib.Path:
  """Returns the folder of this package's configs, in an installation or a checkout."""
  inside = _PACKAGE / HERE  # setup.py copies the repository's folder there
  return inside if inside.is_dir() else _PACKAGE.parent / HERE


def names() -> list[str]:
  """Returns the names of all configs that can be found by name, sorted."""
  found = (path for folder in (HERE, installed()) for path in folder.glob("*.py"))
  return sorted({path.stem for path in found if _is_name(path.stem) and path.is_file()})


def find(given: str) -> pathlib.Path:
  """Returns the file of a config.

  Args:
    given: A path or a name. `mun_sysu` is `configs/mun_sysu.py` in the current folder if it exists,
      else this package's; so is the path `configs/mun_sysu.py`.

  Raises:
    UserError: There is no such file; names similar ones.
  """
  problem = ""
  for path in _candidates(given):
    try:
      if path.is_file():
        return path
      problem = problem or ("is a folder" if given and path.is_dir() else "")
    except (OSError, ValueError) as error:
      problem = f"cannot be read ({shown(getattr(error, 'strerror', None) or str(error))[1:-1]})"
  said = f"{shown(given)} {problem}" if problem else f"no file {shown(given)}"
  raise UserError(f"--config: {said}; {nearest(given, _choices(given))}")


def _candidates(given: str) -> Iterator[pathlib.Path]:
  if _is_name(given):
    yield HERE / f"{given}.py"
    yield installed() / f"{given}.py"
  yield pathlib.Path(given)
  ours = re.fullmatch(r"(?:\./)?configs/([\w-]+\.py)", given)
  if ours:
    yield installed() / ours[1]


def _choices(given: str) -> list[str]:
  return names() if _is_name(given) else [str(HERE / f"{name}.py") for name in names()]


def _is_name(given: str) -> bool:
  return re.fullmatch(r"[\w-]+", given) is not None
