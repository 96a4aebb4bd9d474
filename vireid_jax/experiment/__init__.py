"""Training, evaluation and other work on a whole config."""
