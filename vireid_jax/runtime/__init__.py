"""Devices, processes and compiled programs, for any computation."""
