"""Set before jax is first imported, here and in the processes that tests start."""

import os

# Compiling is nearly all that small networks cost on CPU; unoptimised code compiles four times
# faster and computes the same.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
