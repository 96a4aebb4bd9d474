"""The benchmarks by name."""

import dataclasses
from types import ModuleType

from vireid_jax.speed import embed, floor, ranking, reranking, search, step
from vireid_jax.speed import input as input_benchmark


@dataclasses.dataclass(frozen=True)
class Benchmark:
  """A benchmark.

  Attributes:
    summary: One line of help.
    module: Module with `add_arguments(parser)`, `run(options)` -> numbers, and for the numbers
      `text(numbers)`, `columns(numbers)` and `rows(numbers)`; see `common.formats`.
  """

  summary: str
  module: ModuleType


BENCHMARKS = {
  "ranking": Benchmark("SYSU-MM01's evaluation at full size, on random features", ranking),
  "reranking": Benchmark(
    "SYSU-MM01's re-ranked all-search single-shot evaluation at full size", reranking
  ),
  "step": Benchmark("whole training steps of the given configs, in turn, on random images", step),
  "floor": Benchmark(
    "operations and bytes of training steps, counted by the compiler without running them", floor
  ),
  "embed": Benchmark("embedding of random images with the given configs, in turn", embed),
  "search": Benchmark("search in large galleries: exact, and with indexes of faiss", search),
  "input": Benchmark("filling the image cache, gathering and augmenting batches", input_benchmark),
}
