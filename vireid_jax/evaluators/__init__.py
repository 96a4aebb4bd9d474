"""Evaluation: features of every test image, rankings and their scores."""
