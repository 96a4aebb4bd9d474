"""Compiling programs: cheaply for a single call, or cached between runs."""

import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from vireid_jax.common import progress
from vireid_jax.runtime import compile_times, platform
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.runtime.timing import COMPILE, Stopwatch

CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
CACHE_FOLDER = pathlib.Path("~/.cache/vireid_jax/compilation")


def run_once(function: Callable[[], Any], *, out_shardings: Any = None) -> Any:
  """Compiles and runs a function that is called only once.

  Initialising a ResNet compiles to hundreds of random-number loops. On CPU, optimising them takes
  half a minute for milliseconds of work, so the compiler is told not to.
  """
  options = {"xla_backend_optimization_level": 0} if platform.is_cpu() else None
  return jax.jit(function, out_shardings=out_shardings, compiler_options=options)()


def forward_options() -> dict[str, str] | None:
  """Returns the compiler options of a program without a backward pass; None for the default.

  XLA has two kernel libraries for CPU. The newer one, its default, is faster for the gradients of
  convolutions, the older one for the convolutions themselves.
  """
  return _older_cpu_kernels() if platform.is_cpu() else None


@functools.cache
def _older_cpu_kernels() -> dict[str, str] | None:
  options = {"xla_cpu_experimental_ynn_fusion_type": ""}
  try:
    jax.jit(lambda: jnp.int32(0)).lower().compile(compiler_options=options)
  except jax.errors.JaxRuntimeError:  # this XLA has only one of them, or names it differently
    return None
  return options


class CompiledStep:
  """A training step, compiled once, for the arguments of its first call.

  A step that is compiled again and again still trains, but many times slower; here a second
  compilation is an error.
  """

  def __init__(self, step: Callable, *, mesh: Mesh, timer: Stopwatch):
    """Compiles nothing yet.

    Args:
      step: Function (state, watch, *inputs) -> results. Its first two arguments are donated.
      mesh: Mesh of the run; each device holds all results. Left to itself, the compiler might
        choose shardings that differ from the arguments', and the next call would fail.
      timer: Stopwatch to which compilation time is added.
    """
    results = mesh_lib.replicated(mesh)
    self._jitted = jax.jit(step, donate_argnums=(0, 1), out_shardings=results)
    self._mesh, self._timer, self._compiled = mesh, timer, None

  def compile(self, *arguments) -> None:
    """Compiles for the shapes, dtypes and shardings of these arguments; runs nothing."""
    with self._timer.measure(COMPILE), jax.set_mesh(self._mesh):
      with progress.part("tracing the step"):
        lowered = self._jitted.lower(*arguments)
      with compile_times.timed(lowered, "the step"):
        self._compiled = lowered.compile()

  def __call__(self, *arguments):
    """Runs the step.

    Raises:
      RuntimeError: The arguments' shapes, dtypes or shardings differ from the first call's.
    """
    if self._compiled is None:
      self.compile(*arguments)
    try:
      return self._compiled(*arguments)
    except (TypeError, ValueError) as error:
      raise RuntimeError(
        f"the training step would have to compile a second time: {error}"
      ) from error


def use_cache() -> None:
  """Caches compiled programs in the user's cache folder, or in $JAX_COMPILATION_CACHE_DIR."""
  if not os.environ.get(CACHE_VARIABLE):
    jax.config.update("jax_compilation_cache_dir", str(CACHE_FOLDER.expanduser()))
