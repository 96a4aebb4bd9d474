"""Contact sheets: pictures of data and augmentations."""
