"""Data set builder; the README of this folder describes the data."""
