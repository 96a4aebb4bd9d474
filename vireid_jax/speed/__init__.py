"""Timing whole networks: training steps and embedding, beside PyTorch where it is installed."""
