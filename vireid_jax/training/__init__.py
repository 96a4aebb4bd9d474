"""Training: step, state, optimiser, checkpoints and logs."""
