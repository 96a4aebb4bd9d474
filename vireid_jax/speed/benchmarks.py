"""The benchmarks by name."""

from vireid_jax.speed import embed, floor, ranking, reranking, step
from vireid_jax.speed import input as input_benchmark

# name -> (one line of help, function adding flags to a parser, function running it)
BENCHMARKS = {
  "ranking": (
    "SYSU-MM01's evaluation at full size, on random features",
    ranking.add_arguments,
    ranking.run,
  ),
  "reranking": (
    "SYSU-MM01's re-ranked all-search single-shot evaluation at full size",
    reranking.add_arguments,
    reranking.run,
  ),
  "step": (
    "whole training steps of the given configs, in turn, on random images",
    step.add_arguments,
    step.run,
  ),
  "floor": (
    "operations and bytes of training steps, counted by the compiler without running them",
    floor.add_arguments,
    floor.run,
  ),
  "embed": (
    "embedding of random images with the given configs, in turn",
    embed.add_arguments,
    embed.run,
  ),
  "input": (
    "filling the image cache, gathering and augmenting batches",
    input_benchmark.add_arguments,
    input_benchmark.run,
  ),
}
