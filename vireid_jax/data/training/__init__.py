"""Training batches: sampling, loading and augmentation."""
