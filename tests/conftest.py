"""What every test shares: compiler settings and a place for prepared data sets."""

import atexit
import os
import shutil
import tempfile

import pytest

# Indexes of galleries are kept in the user's cache folder, here and in processes that tests start.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="vireid_jax_tests_cache_")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
# Set before jax is first imported, here and in the processes that tests start. Compiling is nearly
# all that small networks cost on CPU; lightly optimised code compiles faster and computes
# the same. The older emitters of fused loops, in one module, take half the time of the newer ones.
os.environ.setdefault(
  "XLA_FLAGS",
  "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false "
  "--xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Runs that are continued compile the same programs again, as other processes do: once is enough for
# what takes longer to compile than to read.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
  os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="vireid_jax_tests_")
  atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
  """A root of prepared data sets, rendered by the first test that asks for one."""
  return tmp_path_factory.mktemp("data_sets")


# Their tests call what they compile once or twice.
COMPILED_FOR_A_CALL = ("losses", "methods", "models")


@pytest.fixture(autouse=True)
def compile_in_half_the_time(request):
  """Compiles without optimising where running costs nothing; elsewhere it would cost more."""
  if request.path.parent.name not in COMPILED_FOR_A_CALL:
    yield
    return
  import jax

  jax.config.update("jax_disable_most_optimizations", True)
  yield
  jax.config.update("jax_disable_most_optimizations", False)
