"""Contact sheets: pictures of what data and augmentations look like."""
