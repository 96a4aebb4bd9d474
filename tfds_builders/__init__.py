"""TFDS builders that read the data set owners' layouts from a manual directory."""
