"""Runs commands: handles signals, reports errors without a traceback, sets exit codes.

A door ends with `app.start(main)`. If its imports are slow, such as JAX, it also calls
`interrupts.install()` before them, so that signals during the imports are handled. Exit codes are 0
on success, `EXIT_ERROR` on an error, and `interrupts.EXIT_STOPPED` when stopped by a signal.
"""

import argparse
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

from vireid_jax.cli import names
from vireid_jax.common import files, interrupts, paths, progress
from vireid_jax.common.errors import UserError, nearest, printable

EXIT_ERROR = 1
OVERRIDES = "--config.key=value overrides a value of the config, such as --config.optim.lr=0.05"


class Parser(argparse.ArgumentParser):
  """A parser whose errors are UserErrors: one line, exit code 1."""

  def __init__(self, prog: str, **settings):
    """Creates a parser; `prog` is 'python -m vireid_jax.DOOR', with a subcommand if any."""
    super().__init__(prog=names.program(prog), **settings)
    self.add_argument("--version", action="version", version=names.VERSION)

  def error(self, message: str) -> NoReturn:
    """Raises UserError instead of printing the usage."""
    raise UserError(f"{message}; {self.prog} --help lists the options")

  def parse_known_args(self, args=None, namespace=None):
    """Parses; options may be written with hyphens or underscores.

    With --config, the result's `overrides` has the overrides '--config.key=value'.
    """
    words = list(sys.argv[1:] if args is None else args)
    end = words.index("--") if "--" in words else len(words)
    first, rest, overrides = words[:end], words[end:], []
    if "--config" in self._option_string_actions:
      first, overrides = names.split_overrides(first)
    first = [names.spelled(word, self._option_string_actions) for word in first]
    for word in first:
      _refuse_remote(word)
    parsed, unknown = super().parse_known_args(first + rest, namespace)
    if "--config" in self._option_string_actions:
      parsed.overrides = [names.underscored(word) for word in overrides]
    return parsed, unknown

  def parse_args(self, args=None, namespace=None):
    """Parses; an unknown option is an error that suggests similar ones."""
    parsed, unknown = self.parse_known_args(args, namespace)
    for word in unknown:
      if word.startswith("--"):
        name = word.partition("=")[0]
        raise UserError(f"unknown option {name}; {nearest(name, self._option_string_actions)}")
      raise UserError(f"unexpected argument {word!r}; {self.prog} --help lists what is allowed")
    return parsed


def _refuse_remote(word: str) -> None:
  """Raises UserError for an argument or option that is a place on a server."""
  option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
  if not value.startswith(f"{paths.HUB}:"):
    paths.check_kind(value, f"{option}{equals}")


def path(text: str) -> str:
  """Type of an option for a file or folder; refuses impossible paths."""
  if not text.strip():
    raise argparse.ArgumentTypeError("is empty; '.' is the current folder")
  if any(len(os.fsencode(part)) > files.NAME_BYTES for part in pathlib.Path(text).parts):
    raise argparse.ArgumentTypeError(f"has a name of more than {files.NAME_BYTES} bytes")
  try:
    pathlib.Path(text).expanduser()
  except RuntimeError:
    raise argparse.ArgumentTypeError(f"is the home of an unknown user: {text}") from None
  return text


def positive(text: str) -> int:
  """Type of an option for a count: a whole number, at least 1."""
  try:
    number = int(text)
  except ValueError:
    raise argparse.ArgumentTypeError(f"is {text!r}; it must be a whole number") from None
  if number < 1:
    raise argparse.ArgumentTypeError(f"is {number}; it must be at least 1")
  return number


def parser(name: str, description: str) -> Parser:
  """Returns the parser of `python -m vireid_jax.<name>` with --checkpoint and --step."""
  options = Parser(prog=f"python -m vireid_jax.{name}", description=description)
  options.add_argument(
    "--checkpoint",
    required=True,
    type=path,
    help="a workdir, its best/ folder, imported weights, or an export",
  )
  options.add_argument("--step", type=int, help="step of the checkpoint; default the latest")
  return options


def start(main: Callable[[], int | None]) -> NoReturn:
  """Runs a command and ends the process with its exit code."""
  interrupts.install()
  for stream in _open_streams():
    # Characters that the terminal cannot show are escaped.
    stream.reconfigure(errors="backslashreplace")
  code = guarded(lambda: _code_of(main))
  progress.clear()
  if interrupts.requested() and not code:
    code = interrupts.EXIT_STOPPED  # a library swallowed the signal's exception
  interrupts.finish(code)
  code = code if _close_output() else code or EXIT_ERROR
  if code == interrupts.EXIT_STOPPED and not _is_one_of_several():
    interrupts.leave(code)
  sys.exit(code)


def _is_one_of_several() -> bool:
  """Returns whether JAX is connected to other processes."""
  jax = sys.modules.get("jax")
  return jax is not None and jax.distributed.is_initialized()


def _code_of(main: Callable[[], int | None]) -> int | None:
  try:
    return main()
  except interrupts.Stopped:
    raise
  except SystemExit as end:  # --help
    return end.code


def run(
  options: argparse.ArgumentParser,
  command: Callable,
  arguments: Sequence[str] | None = None,
  *,
  compiles: bool = True,
) -> int:
  """Parses a command line and calls a command with the result.

  Args:
    options: Parser of the command line.
    command: Function (parsed) -> exit code, or None for 0.
    arguments: Command line; the process's if None.
    compiles: Whether the command uses JAX.

  Returns:
    The exit code; see `guarded`.
  """

  def parse_and_call() -> int | None:
    parsed = options.parse_args(arguments)
    if compiles:
      _prepare()
    with progress.show(options.prog.split()[-1].rpartition(".")[2]):
      return command(parsed)

  return guarded(parse_and_call)


def guarded(function: Callable[[], int | None]) -> int:
  """Calls a function, and turns exceptions into a message and an exit code.

  Args:
    function: Function that returns an exit code; None is 0.

  Returns:
    The exit code. An unexpected exception is a bug and is raised with its traceback.
  """
  try:
    code = function() or 0
    for stream in _open_streams():
      stream.flush()
    return code
  except BrokenPipeError:
    return EXIT_ERROR
  except interrupts.Stopped:
    return interrupts.EXIT_STOPPED
  except KeyboardInterrupt:  # in a notebook, where no signal handlers are installed
    print("interrupted", file=sys.stderr)
    return interrupts.EXIT_STOPPED
  except Exception as error:
    if interrupts.ending() or _follows_a_stop(error):
      return interrupts.EXIT_STOPPED
    message = explain(error)
    if message is None:
      raise
    print(f"error: {printable(message, keep=chr(10))}", file=sys.stderr)
    return EXIT_ERROR


def explain(error: Exception) -> str | None:
  """Returns the message for an error that the user can fix; None for a bug."""
  if isinstance(error, UserError):
    return str(error)
  if isinstance(error, MemoryError):
    return "not enough memory; use a smaller --batch or config, or a larger machine"
  if "RESOURCE_EXHAUSTED" in str(error):
    reason = str(error).strip().splitlines()[0]
    return f"the device has not enough memory: {reason}. Use a smaller batch, image or network"
  reason = paths.reason(error)
  if reason is not None:
    return f"a bucket cannot be read or written: {reason}"
  if not isinstance(error, OSError) or error.strerror is None:
    return None
  file = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
  reason = files.reason_of(error) or error.strerror
  return f"{file}{reason}; free space or give this user access, or choose another path"


def _follows_a_stop(error: BaseException | None) -> bool:
  """Returns whether `Stopped` caused an error, such as one raised by a library."""
  while error is not None and not isinstance(error, interrupts.Stopped):
    error = error.__cause__ or error.__context__
  return error is not None


def _open_streams() -> list[TextIO]:
  return [stream for stream in (sys.stdout, sys.stderr) if stream is not None]


def _close_output() -> bool:
  """Flushes the output; returns whether that succeeded.

  Output that its reader, such as `head`, no longer takes is discarded, so that the interpreter does
  not complain.
  """
  whole = True
  for stream in _open_streams():
    try:
      stream.flush()
    except OSError:
      whole = False
      os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
  return whole


def _prepare() -> None:
  """Enables the compilation cache; silences logged tracebacks of errors that are also raised."""
  from absl import logging

  from vireid_jax.runtime import compilation

  logging.set_verbosity(logging.FATAL)
  compilation.use_cache()
