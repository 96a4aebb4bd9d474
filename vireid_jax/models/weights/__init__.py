"""Weights of PyTorch models: files, names, and their place in our variables."""
