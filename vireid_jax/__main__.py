"""The command line `vireid`, also as `python -m vireid_jax`."""

from typing import NoReturn

from vireid_jax.common import interrupts


def main() -> NoReturn:
  """Runs the process's command line, and ends with its exit code."""
  interrupts.install()  # before slow imports
  from vireid_jax.cli import line

  line.start()


if __name__ == "__main__":
  main()
