"""Benchmarks of input, training steps, embedding and ranking, next to PyTorch if installed."""
