"""A picture of every corruption: python -m vireid_jax.corruption_sheet IN OUT."""

import pathlib
import sys

import numpy as np

from vireid_jax.cli import app
from vireid_jax.common import files
from vireid_jax.common.errors import UserError
from vireid_jax.data.prepared import picture
from vireid_jax.report.sheets.corruptions import contact_sheet


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
  with files.replacing(out) as file:
    sheet.save(file, kind)


if __name__ == "__main__":
  app.start(lambda: main(sys.argv[1:]))
