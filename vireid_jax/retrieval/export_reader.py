"""Runs an exported retrieval function, without the package that exported it.

Needs jax, and flatbuffers for jax.export: `pip install jax flatbuffers`.

  import reader                                    # this file, next to the exported ones
  retrieval = reader.load("exported")
  features = retrieval.embed(images, "infrared")   # uint8 [n, height, width, 3] -> float32 [n, d]

On the command line, if Pillow is installed:

  python exported/reader.py infrared night_1.png night_2.png
"""

import hashlib
import json
import pathlib
import sys

import jax
import jax.export
import numpy as np

FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")  # Pillow starts programs for some others
UPRIGHT = {  # by EXIF orientation
  2: "FLIP_LEFT_RIGHT",
  3: "ROTATE_180",
  4: "FLIP_TOP_BOTTOM",
  5: "TRANSPOSE",
  6: "ROTATE_270",
  7: "TRANSVERSE",
  8: "ROTATE_90",
}


class Retrieval:
  """The exported function of each modality.

  Attributes:
    card: Content of `card.json`: sizes, method, data set, versions.
  """

  def __init__(self, folder):
    """Reads the card, the weights and the functions in `folder`.

    Raises:
      ValueError: A file does not match the hash in the card.
    """
    folder = pathlib.Path(folder)
    self.card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    _check(folder, self.card["sha256"])
    with np.load(folder / self.card["weights"]) as weights:
      self._weights = {name: jax.numpy.asarray(weights[name]) for name in weights.files}
    self._functions = {
      modality: jax.jit(jax.export.deserialize((folder / function["file"]).read_bytes()).call)
      for modality, function in self.card["modalities"].items()
    }

  def embed(self, images, modality):
    """Embeds decoded and resized pictures.

    Args:
      images: uint8 [n, height, width, 3], RGB, of the card's `image_size`.
      modality: 'visible' or 'infrared'.

    Returns:
      float32 [n, d]. Each batch size is compiled once, so use few different ones.
    """
    images = np.asarray(images)
    wanted = (*self.card["image_size"], 3)
    if images.dtype != np.uint8 or images.shape[1:] != wanted or not len(images):
      raise ValueError(f"images are {images.dtype} {images.shape}; expected uint8 [n, *{wanted}]")
    names = self.card["modalities"][modality]["arguments"]
    return np.asarray(self._functions[modality]([self._weights[n] for n in names], images))

  def read(self, paths):
    """Decodes and resizes picture files as in training; needs Pillow.

    Pictures are turned by their EXIF orientation.

    Returns:
      uint8 [n, height, width, 3].
    """
    from PIL import Image

    height, width = self.card["image_size"]
    kind = Image.Resampling[self.card["resize"].upper()]
    pictures = []
    for path in paths:
      if not pathlib.Path(path).is_file():  # opening a pipe would block
        raise ValueError(f"{path!r} is not a regular file")
      with Image.open(path, formats=FORMATS) as picture:
        if picture.mode[0] in "IF" or any(";16" in str(tile[3]) for tile in picture.tile):
          raise ValueError(f"{path!r} has more than 8 bits per channel; save it with 8")
        picture.load()
        picture = _upright(picture).convert("RGB")
      if picture.size != (width, height):
        picture = picture.resize((width, height), kind)
      pictures.append(np.asarray(picture))
    return np.stack(pictures)


def _upright(picture):
  """Turns a picture by its EXIF orientation, if it has one."""
  from PIL import Image

  try:
    orientation = picture.getexif().get(0x0112, 1)
  except Exception:  # the picture is valid even if its EXIF block is damaged
    return picture
  turn = UPRIGHT.get(orientation)
  return picture if turn is None else picture.transpose(Image.Transpose[turn])


def _check(folder, hashes):
  for name, expected in hashes.items():
    with (folder / name).open("rb") as file:
      found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
      raise ValueError(
        f"{folder / name} does not match card.json (sha256 {found[:16]}, expected "
        f"{expected[:16]}): it is damaged, or from another export. Export again, or copy all files"
      )


def load(folder):
  """Returns the `Retrieval` of a folder written by `python -m vireid_jax.export`."""
  return Retrieval(folder)


def main(arguments):
  """Prints the feature of each picture, one per line."""
  if len(arguments) < 2:
    raise SystemExit("usage: python reader.py visible|infrared PICTURE [PICTURE ...]")
  retrieval = load(pathlib.Path(__file__).parent)
  for feature in retrieval.embed(retrieval.read(arguments[1:]), arguments[0]):
    print(" ".join(f"{value:.7g}" for value in feature))


if __name__ == "__main__":
  main(sys.argv[1:])
