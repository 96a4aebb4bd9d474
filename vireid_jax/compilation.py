"""How programs are compiled: once with little effort, or cached between runs."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax

CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
CACHE_FOLDER = pathlib.Path("~/.cache/vireid_jax/compilation")


def run_once(function: Callable[[], Any], *, out_shardings: Any = None) -> Any:
  """Runs a function under jit that will not run again.

  Drawing a ResNet's variables compiles to hundreds of random-number loops: optimising them takes
  half a minute on CPU for milliseconds of work, so there the compiler is told not to.
  """
  options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
  return jax.jit(function, out_shardings=out_shardings, compiler_options=options)()


def use_cache() -> None:
  """Keeps compiled programs in the user's cache folder, or in $JAX_COMPILATION_CACHE_DIR."""
  if not os.environ.get(CACHE_VARIABLE):
    jax.config.update("jax_compilation_cache_dir", str(CACHE_FOLDER.expanduser()))
