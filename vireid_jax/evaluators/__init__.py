"""Retrieval metrics and the benchmarks' evaluation protocols."""
