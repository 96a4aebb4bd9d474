"""How long programs took to compile, kept beside the compiled programs, to say how long it takes.

A program that the cache still has takes a second; the time is that of the last compilation.
"""

import contextlib
import hashlib
import json
import pathlib
import time
from collections.abc import Iterator

import jax

from vireid_jax.common import files, progress

FILE = "seconds_to_compile.json"  # in the cache folder: key of the program -> seconds
KEPT = 500  # programs, the latest


@contextlib.contextmanager
def timed(lowered: jax.stages.Lowered, what: str) -> Iterator[None]:
  """Shows a compilation, with its expected seconds if this program was compiled before.

  Args:
    lowered: Program that is compiled inside the context.
    what: Name of the program in the line that is shown.
  """
  path, key = _path(), _key(lowered)
  known = _read(path)
  about = f" (about {max(round(known[key]), 1)} s)" if key in known else ""
  started = time.perf_counter()
  with progress.part(f"compiling {what}{about}"):
    yield
  _write(path, known | {key: round(time.perf_counter() - started, 1)})


def _path() -> pathlib.Path | None:
  folder = jax.config.jax_compilation_cache_dir
  return pathlib.Path(folder) / FILE if folder and "://" not in folder else None


def _key(lowered: jax.stages.Lowered) -> str:
  device = jax.devices()[0]
  words = f"{device.platform} {device.device_kind} {jax.__version__} {lowered.as_text()}"
  return hashlib.sha256(words.encode()).hexdigest()[:16]


def _read(path: pathlib.Path | None) -> dict[str, float]:
  """Returns the seconds by key; none if the file is missing or damaged."""
  try:
    stored = json.loads(path.read_bytes()) if path else {}
    return {key: seconds for key, seconds in stored.items() if isinstance(seconds, int | float)}
  except (OSError, ValueError, AttributeError, RecursionError):
    return {}


def _write(path: pathlib.Path | None, seconds: dict[str, float]) -> None:
  """Writes the times; a folder that cannot be written only costs the estimate."""
  if path and jax.process_index() == 0:
    with contextlib.suppress(OSError):
      files.write_json(path, dict(list(seconds.items())[-KEPT:]))
