"""Measuring and counting: input, steps, embedding, ranking, beside PyTorch if installed."""
