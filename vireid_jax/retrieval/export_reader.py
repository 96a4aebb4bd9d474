"""Runs an exported retrieval function, without the package that exported it.

Needs jax, with the numpy it brings, and the flatbuffers that jax.export asks for:
`pip install jax flatbuffers`.

  import reader                                    # this file, beside the exported ones
  retrieval = reader.load("exported")
  features = retrieval.embed(images, "infrared")   # uint8 [n, height, width, 3] -> float32 [n, d]

On the command line, where Pillow is installed as well:

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
    card: what `card.json` says: sizes, method, data set, versions.
  """

  def __init__(self, folder):
    """Reads the card, the weights and the functions below `folder`.

    Raises:
      ValueError: a file is not the one that the card was written for.
    """
    folder = pathlib.Path(folder)
    self.card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    _check(folder, self.card["sha256"])
    with np.load(folder / self.card["weights"]) as weights:
      self._weights = {name: jax.numpy.asarray(weights[name]) for name in weights.files}
    self._functions = {
      modality: jax.jit(jax.export.deserialize((folder / part["file"]).read_bytes()).call)
      for modality, part in self.card["modalities"].items()
    }

  def embed(self, images, modality):
    """Embeds decoded and resized pictures.

    Args:
      images: uint8 [n, height, width, 3], RGB, of the size that the card names.
      modality: 'visible' or 'infrared'.

    Returns:
      float32 [n, d]. Each batch size compiles once; keep to few.
    """
    images = np.asarray(images)
    wanted = (*self.card["image_size"], 3)
    if images.dtype != np.uint8 or images.shape[1:] != wanted or not len(images):
      raise ValueError(f"images are {images.dtype} {images.shape}; expected uint8 [n, *{wanted}]")
    names = self.card["modalities"][modality]["arguments"]
    return np.asarray(self._functions[modality]([self._weights[n] for n in names], images))

  def read(self, paths):
    """Decodes and resizes picture files as in training; needs Pillow.

    Pictures are turned as their EXIF orientation says.

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
  """Turns a picture as its EXIF orientation says, if it says so."""
  from PIL import Image

  try:
    orientation = picture.getexif().get(0x0112, 1)
  except Exception:  # a damaged EXIF block is no reason to lose the picture
    return picture
  turn = UPRIGHT.get(orientation)
  return picture if turn is None else picture.transpose(Image.Transpose[turn])


def _check(folder, hashes):
  for name, expected in hashes.items():
    with (folder / name).open("rb") as file:
      found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
      raise ValueError(
        f"{folder / name} is not the file that card.json belongs to (sha256 {found[:16]}, expected "
        f"{expected[:16]}): it is damaged, or of another export. Export again, or copy all files"
      )


def load(folder):
  """Returns the `Retrieval` of a folder that `python -m vireid_jax.export` wrote."""
  return Retrieval(folder)


def main(arguments):
  """Prints one line of numbers per picture."""
  if len(arguments) < 2:
    raise SystemExit("usage: python reader.py visible|infrared PICTURE [PICTURE ...]")
  retrieval = load(pathlib.Path(__file__).parent)
  for feature in retrieval.embed(retrieval.read(arguments[1:]), arguments[0]):
    print(" ".join(f"{value:.7g}" for value in feature))


if __name__ == "__main__":
  main(sys.argv[1:])
