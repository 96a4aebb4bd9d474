"""RegDB: 412 people, ten visible and ten thermal images of each."""

from tfds_builders.layout_builder import LayoutBuilder


class Builder(LayoutBuilder):
  """Stores every RegDB image once, and the ten published trials as lists of identities."""

  READER = "regdb"
  HOMEPAGE = "http://dm.dongguk.edu/link.html"
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Ask the owner for access (see the homepage), unpack the archive and pass the folder with Visible/,
  Thermal/ and idx/ (train_visible_1.txt ... test_thermal_10.txt).
  """
