"""Training batches: which images, in which order, from where, and augmented how."""
