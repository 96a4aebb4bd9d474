"""What every other package builds on; imports nothing else of `vireid_jax`."""
