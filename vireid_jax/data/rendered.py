"""Synthetic data sets: rendered and prepared when first used."""

import contextlib
import dataclasses
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator

from vireid_jax.common import paths
from vireid_jax.common.errors import UserError, choose
from vireid_jax.data.prepared.location import (
  RENDERED_FOLDER,
  default_data_dir,
  prepared_versions,
  stored_world,
)
from vireid_jax.data.regular_files import anywhere

SYNTHETIC = "vireid_synthetic"
STAND_INS = ("llcm", "own", "regdb", "sysu_mm01")
LOCK = ".rendering.lock"


def data_dir(config) -> pathlib.Path:
  """Returns the root of the prepared data sets that a config reads.

  Args:
    config: The config's `data` section: 'dir', and optionally 'render', a preset whose rendered
      images replace the real ones, in a separate root.
  """
  root = anywhere(config["dir"] or default_data_dir())
  preset = config.get("render")
  return root / RENDERED_FOLDER / preset if preset else root


def ensure(config) -> None:
  """Renders and prepares the config's data set if it is synthetic and not prepared yet.

  It is rendered again if the settings of its preset have changed. If several processes need it, one
  renders and the others wait.

  Args:
    config: The config's `data` section: 'name', and see `data_dir`.

  Raises:
    UserError: The preset or data set is unknown, or the folder cannot be written.
  """
  name, root = config["name"], data_dir(config)
  if name.partition("/")[0] == SYNTHETIC:
    _once(name, root, _synthetic_world(name), lambda: _prepare_synthetic(name, root))
  elif preset := config.get("render"):
    world = _stand_in_world(name, preset)
    _once(name, root, world, lambda: _prepare_rendered(name, root, preset, world))


def _once(name: str, root: pathlib.Path, world: dict, render: Callable[[], None]) -> None:
  if _is_current(name, root, world):
    return
  with _alone(root):
    if not _is_current(
      name, root, world
    ):  # another process may have rendered it while this one waited
      render()


def _prepare_synthetic(name: str, root: pathlib.Path) -> None:
  from vireid_jax.data import preparing

  preparing.prepare(name, data_dir=root, hint=False)


def _synthetic_world(name: str) -> dict:
  """Returns the settings of a synthetic data set's preset; raises if there is no such preset."""
  from vireid_jax.data import synthetic

  presets = {f"{SYNTHETIC}/{known}": world for known, world in synthetic.PRESETS.items()}
  world = choose(name, presets, said=f"config.data.name = {name!r} is not a preset")
  return dataclasses.asdict(world)


def _stand_in_world(name: str, preset: str) -> dict:
  """Returns the settings of a preset; raises if it or the data set to replace is unknown."""
  from vireid_jax.data import synthetic

  said = f"config.data.render = {preset!r}"
  world = choose(preset, synthetic.PRESETS, said=f"{said} is not a preset")
  choose(name, STAND_INS, said=f"config.data.name = {name!r} cannot be rendered ({said})")
  return dataclasses.asdict(world)


def _is_current(name: str, root: pathlib.Path, world: dict) -> bool:
  versions = prepared_versions(name, root)
  return bool(versions) and stored_world(versions[-1]) == world


def _prepare_rendered(name: str, root: pathlib.Path, preset: str, world: dict) -> None:
  from vireid_jax.common import files
  from vireid_jax.data import preparing, synthetic
  from vireid_jax.data.layout import extras

  outdated = bool(prepared_versions(name, root))
  if outdated:
    print(
      f"{name} in {root} was rendered with an older version of the preset {preset!r}: "
      "rendering it again",
      file=sys.stderr,
    )
  writers = {
    "sysu_mm01": synthetic.write_sysu_mm01,
    "regdb": synthetic.write_regdb,
    "llcm": synthetic.write_llcm,
    "own": synthetic.write_own,
  }
  with _temporary_folder() as place:
    tree = place / name
    try:
      writers[name](tree, synthetic.PRESETS[preset], masks=True)
      files.write_text(tree / extras.WORLD, json.dumps(world))
    except OSError as error:
      raise _cannot_render(error) from error
    preparing.prepare(name, data_dir=root, manual_dir=tree, overwrite=outdated, hint=False)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[pathlib.Path]:
  from vireid_jax.common import files

  with contextlib.ExitStack() as stack:
    try:
      place = pathlib.Path(tempfile.gettempdir()) / f"vireid_jax_{os.urandom(8).hex()}"
      stack.enter_context(files.temporary_folder(place))
    except OSError as error:
      raise _cannot_render(error) from error
    yield place


def _cannot_render(error: OSError) -> UserError:
  from vireid_jax.common import files

  reason = files.reason_of(error) or str(error)
  return UserError(
    f"cannot render images into the temporary folder: {reason}. Free space, or choose "
    "another folder with the environment variable TMPDIR"
  )


@contextlib.contextmanager
def _alone(root: pathlib.Path) -> Iterator[None]:
  """Keeps other processes on this machine from rendering into the same root.

  The operating system releases the lock when its holder ends, killed or not. A bucket has none.
  """
  if paths.is_remote(root):
    yield
    return
  try:
    import fcntl

    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
  except (ImportError, OSError):  # without a lock both render, and the first to finish wins
    yield
    return
  try:
    with contextlib.suppress(OSError):  # some network file systems have no locks
      _lock(descriptor, fcntl, root)
    yield
  finally:
    os.close(descriptor)


def _lock(descriptor: int, fcntl, root: pathlib.Path) -> None:
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    print(f"another process is rendering into {root}: waiting for it", file=sys.stderr)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
