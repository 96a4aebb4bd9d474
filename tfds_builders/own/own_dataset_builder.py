"""The user's own pictures, listed in a table or sorted into folders."""

from tfds_builders.layout_builder import LayoutBuilder


class Builder(LayoutBuilder):
  """Stores the pictures listed in `images.csv`, or sorted into folders by modality and identity."""

  READER = "own"
  HOMEPAGE = ""
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Pass the folder with images.csv (path, identity, modality[, camera][, split][, mask]), or with
  visible/ and infrared/ and a folder per identity in each; docs/own_data.md describes both.
  """
