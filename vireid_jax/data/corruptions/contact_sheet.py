"""A picture of every corruption: python -m vireid_jax.data.corruptions.contact_sheet IN OUT."""

import pathlib
import sys

import numpy as np

from vireid_jax import command, storage
from vireid_jax.data import picture
from vireid_jax.data.corruptions import KINDS, SEVERITIES, corrupt
from vireid_jax.errors import UserError

COLUMNS = 10
GAP = 2  # pixels between pictures


def contact_sheet(image: np.ndarray, seed: int = 0) -> np.ndarray:
  """Lays all kinds side by side, severities below each other, the image itself on top.

  Args:
    image: uint8 [h, w, 3].
    seed: of the damage.

  Returns:
    uint8 [2 * 6 * (h + 2), 10 * (w + 2), 3].
  """
  names = list(KINDS)
  rows = [names[start : start + COLUMNS] for start in range(0, len(names), COLUMNS)]
  return np.vstack([np.hstack([_column(image, kind, seed) for kind in row]) for row in rows])


def _column(image, kind, seed):
  damaged = [
    corrupt(image, kind, severity, np.random.default_rng((seed, severity)))
    for severity in SEVERITIES
  ]
  frame = ((0, GAP), (0, GAP), (0, 0))
  return np.vstack([np.pad(each, frame, constant_values=255) for each in (image, *damaged)])


def main(arguments: list[str]) -> None:
  """Reads a picture and writes its sheet."""
  from PIL import Image

  if len(arguments) != 2 or not pathlib.Path(arguments[0]).is_file():
    raise UserError(f"expected a picture and the file to write, got {arguments}")
  pixels = np.asarray(picture.rgb(arguments[0], turn=True))
  out = pathlib.Path(arguments[1])
  kind = Image.registered_extensions().get(out.suffix.lower())
  if kind not in Image.SAVE:
    raise UserError(f"{out} does not end like a picture; name it sheet.png, for example")
  sheet = Image.fromarray(contact_sheet(pixels))
  with storage.replacing(out) as file:
    sheet.save(file, kind)


if __name__ == "__main__":
  command.start(lambda: main(sys.argv[1:]))
