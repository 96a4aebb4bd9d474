"""Prepared data sets: where they are, and how their images are read."""
