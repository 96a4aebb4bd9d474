"""LLCM: 1,064 people seen in low light by nine cameras in both modalities."""

from tfds_builders.layout_builder import LayoutBuilder


class Builder(LayoutBuilder):
  """Stores LLCM's train and test images."""

  READER = "llcm"
  HOMEPAGE = "https://github.com/ZYK100/LLCM"
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Sign the owner's agreement (see the homepage), unpack the archive and pass the folder with vis/,
  nir/, test_vis/, test_nir/ and idx/ (train_vis.txt, train_nir.txt, test_id.txt).
  """
