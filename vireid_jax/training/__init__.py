"""Training machinery: step, state, optimiser, checkpoints and logs."""
