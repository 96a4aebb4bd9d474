"""What the small commands share: options that name a checkpoint, errors without a traceback."""

import argparse
import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

from vireid_jax import storage
from vireid_jax.errors import UserError


def parser(name: str, description: str) -> argparse.ArgumentParser:
  """Returns the parser of `python -m vireid_jax.<name>` with --checkpoint and --step."""
  made = argparse.ArgumentParser(prog=f"python -m vireid_jax.{name}", description=description)
  made.add_argument(
    "--checkpoint", required=True, help="a workdir, its best/ folder, or imported weights"
  )
  made.add_argument("--step", type=int, help="of the checkpoint; the latest when absent")
  return made


def run(
  options: argparse.ArgumentParser, command: Callable, arguments: Sequence[str] | None = None
) -> int:
  """Parses, calls the command, prints a UserError plainly; returns the exit code."""
  parsed = options.parse_args(arguments)
  try:
    _prepare()
    command(parsed)
  except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    return 130
  return 0


@contextlib.contextmanager
def writing(path: pathlib.Path, option: str) -> Iterator[None]:
  """Turns what a full or read-only disk raises inside the context into a UserError.

  Args:
    path: being written.
    option: of the command line, that names it.
  """
  try:
    yield
  except OSError as error:
    reason = storage.REASONS.get(error.errno, str(error))
    raise UserError(
      f"cannot write {path}: {reason}. Make room or rights, or name another place with {option}"
    ) from error


def check_writable(folder: pathlib.Path, option: str) -> None:
  """Makes a folder and writes a byte into it; raises UserError when that fails."""
  with writing(folder, option):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
      file.write(b"1")


def _prepare() -> None:
  """Turns on the compilation cache; silences tracebacks that are raised as well."""
  from absl import logging

  from vireid_jax import compilation

  logging.set_verbosity(logging.FATAL)
  compilation.use_cache()
