"""SYSU-MM01: 491 people seen by four visible and two infrared cameras."""

from tfds_builders.layout_builder import LayoutBuilder


class Builder(LayoutBuilder):
  """Stores SYSU-MM01's train, val and test images with the official gallery draws."""

  READER = "sysu_mm01"
  HOMEPAGE = "https://github.com/wuancong/SYSU-MM01"
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Sign the owner's agreement (see the homepage), unpack the archive and pass the folder with cam1/
  ... cam6/ and exp/ (train_id.txt, val_id.txt, test_id.txt, rand_perm_cam.mat).
  """
