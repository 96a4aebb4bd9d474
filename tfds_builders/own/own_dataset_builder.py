"""Anybody's pictures, listed in a table or sorted into folders."""

from tfds_builders.layout_builder import LayoutBuilder


class Builder(LayoutBuilder):
  """Stores the pictures that `images.csv` lists, or those in folders of modality and identity."""

  READER = "own"
  HOMEPAGE = ""
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Pass the folder that holds images.csv (path, identity, camera, modality[, split][, mask]), or
  visible/ and infrared/ with a folder per identity; docs/own_data.md describes both.
  """
