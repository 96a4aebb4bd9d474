"""Runs: training, evaluation and whatever else needs a whole config."""
