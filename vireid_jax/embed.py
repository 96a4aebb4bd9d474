"""Features of any folder of pictures.

  python -m vireid_jax.embed --checkpoint runs/mun --images photos --modality visible \\
    --out features.npz

The file holds `features` float32 [n, d], `names` (relative to the folder, sorted), and, as JSON
text, `facts` (modality, method, checkpoint, ...) and `skipped` (the reason by name of each file
that is no picture, or damaged).
"""

from vireid_jax import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from vireid_jax import command
from vireid_jax.data.schema import MODALITIES
from vireid_jax.errors import UserError, printable


def embed(options: argparse.Namespace) -> None:
  """Embeds a folder and writes the file.

  Raises:
    UserError: no checkpoint, no picture, or a place that cannot be written.
  """
  from vireid_jax.retrieval import model as model_lib
  from vireid_jax.retrieval.pictures import count_turned, describe_skipped, folder_of

  out = pathlib.Path(options.out).expanduser()
  command.check_file(out, "--out")  # before minutes of embedding, not after
  model = model_lib.load(
    options.checkpoint, step=options.step, normalize=not options.raw, batch=options.batch
  )
  found = model.embed_folder(options.images, options.modality, progress=True)
  if found.skipped:
    print(describe_skipped(found.skipped), file=sys.stderr)
  if not found.names:
    raise UserError(f"{options.images} holds no picture that can be read; nothing was written")
  write(out, found, facts(model, options.modality))
  count, size = found.features.shape
  print(f"{count} pictures, {size} dimensions: {printable(str(out))}")
  turned = count_turned(folder_of(options.images), found.names)
  if turned:
    print(f"turned by EXIF orientation: {turned}")


def facts(model, modality: str) -> dict:
  """Returns what is to be known of features, JSON."""
  return {
    "modality": modality,
    "method": model.method,
    "feature": model.feature,
    "normalized": model.normalize,
    "checkpoint": str(model.trained.folder),
    "step": model.trained.step,
    "trained_on": model.trained.config["data"]["name"],
    "image_size": list(model.image_size),
    "fingerprint": model.fingerprint(),
  }


def write(path: pathlib.Path, found, known: dict) -> None:
  """Writes features, names and facts; the file appears when it is complete."""
  names = np.array([name.encode("utf-8", "backslashreplace").decode() for name in found.names])
  with command.new_file(path, "--out") as file:
    np.savez(
      file,
      features=found.features,
      names=names,
      facts=np.array(json.dumps(known)),
      skipped=np.array(json.dumps(found.skipped)),
    )


def _parser() -> argparse.ArgumentParser:
  parser = command.parser("embed", "Writes the features of all pictures below a folder.")
  parser.add_argument(
    "--images", required=True, type=command.place, help="folder of pictures, searched recursively"
  )
  parser.add_argument(
    "--modality", required=True, choices=MODALITIES, help="the camera that took the pictures"
  )
  parser.add_argument("--out", required=True, type=command.place, help="file to write, .npz")
  parser.add_argument("--raw", action="store_true", help="do not scale features to unit length")
  parser.add_argument("--batch", type=int, default=64, help="pictures at once, at most")
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return command.run(_parser(), embed, arguments)


if __name__ == "__main__":
  command.start(main)
