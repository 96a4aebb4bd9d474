"""The platform that programs are compiled for, by which their form is chosen."""

import contextlib
import contextvars
from collections.abc import Iterator

PLATFORMS = ("cpu", "gpu", "tpu")
_chosen: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)


def name() -> str:
  """Returns 'cpu', 'gpu' or 'tpu': the default devices' platform, or that of `compiling_for`."""
  import jax  # here, because importing it takes a second

  return _chosen.get() or jax.default_backend()


def is_cpu() -> bool:
  """Returns whether programs are compiled for a CPU."""
  return name() == "cpu"


@contextlib.contextmanager
def compiling_for(platform: str) -> Iterator[None]:
  """Makes functions that are traced inside choose the forms that are fast on another platform.

  Functions that were traced before are forgotten, at both ends.

  Args:
    platform: One of `PLATFORMS`.
  """
  if platform not in PLATFORMS:
    raise ValueError(f"unknown platform {platform!r}; choose one of {', '.join(PLATFORMS)}")
  import jax

  jax.clear_caches()
  token = _chosen.set(platform)
  try:
    yield
  finally:
    _chosen.reset(token)
    jax.clear_caches()
