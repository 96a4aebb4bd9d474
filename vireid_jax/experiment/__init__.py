"""Runs: everything that is built from a whole config."""
