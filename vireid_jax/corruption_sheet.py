"""Draws an image with every corruption at every severity.

python -m vireid_jax.corruption_sheet photo.jpg sheet.png
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

import numpy as np

from vireid_jax.cli import app
from vireid_jax.common import files, paths
from vireid_jax.common.errors import UserError
from vireid_jax.data.prepared import picture
from vireid_jax.report.sheets.corruptions import contact_sheet


def draw(given: argparse.Namespace) -> None:
  """Reads an image and writes its sheet.

  Raises:
    UserError: There is no such image, or the output's suffix is not an image format.
  """
  from PIL import Image

  out, source = paths.path(given.out, "OUT="), paths.local(given.picture, "PICTURE=")
  kind = Image.registered_extensions().get(out.suffix.lower())
  if kind not in Image.SAVE:
    raise UserError(f"{out} does not end like a picture; name it sheet.png, for example")
  if not source.is_file():
    raise UserError(f"{given.picture} is not a file; give a picture")
  sheet = Image.fromarray(contact_sheet(np.asarray(picture.rgb(source, turn=True))))
  with files.writing(out, "OUT"), files.replacing(out) as file:
    sheet.save(file, kind)


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  parser = app.Parser(
    prog="python -m vireid_jax.corruption_sheet",
    description="Draws an image with every corruption.",
  )
  parser.add_argument("picture", type=app.path, help="image to corrupt")
  parser.add_argument("out", type=app.path, help="sheet to write, such as sheet.png")
  return app.run(parser, draw, arguments, compiles=False)


if __name__ == "__main__":
  app.start(main)
