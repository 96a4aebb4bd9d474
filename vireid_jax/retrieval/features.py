"""Files of features, with the facts needed to use them."""

import argparse
import json
import pathlib
import sys

import numpy as np

from vireid_jax.common import files
from vireid_jax.common.errors import UserError, printable


def embed(options: argparse.Namespace) -> None:
  """Embeds a folder and writes the features to a file.

  Raises:
    UserError: There is no checkpoint or no picture, or the file cannot be written.
  """
  from vireid_jax.retrieval import model as model_lib
  from vireid_jax.retrieval.pictures import count_turned, describe_skipped, folder_of

  out = pathlib.Path(options.out).expanduser()
  files.check_file(out, "--out")  # before minutes of embedding
  model = model_lib.load(
    options.checkpoint, step=options.step, normalize=not options.raw, batch=options.batch
  )
  found = model.embed_folder(options.images, options.modality, progress=True)
  if found.skipped:
    print(describe_skipped(found.skipped), file=sys.stderr)
  if not found.names:
    raise UserError(f"{options.images} has no readable picture; nothing was written")
  write(out, found, facts(model, options.modality))
  count, size = found.features.shape
  print(f"{count} pictures, {size} dimensions: {printable(str(out))}")
  turned = count_turned(folder_of(options.images), found.names)
  if turned:
    print(f"turned by EXIF orientation: {turned}")


def facts(model, modality: str) -> dict:
  """Returns the facts about a model's features as JSON values."""
  return {
    "modality": modality,
    "method": model.method,
    "feature": model.feature,
    "normalized": model.normalize,
    "checkpoint": str(model.trained.folder),
    "step": model.trained.step,
    "trained_on": model.trained.trained_on,
    "image_size": list(model.image_size),
    "fingerprint": model.fingerprint(),
  }


def write(path: pathlib.Path, found, known: dict) -> None:
  """Writes features, names and facts to a file, atomically."""
  names = np.array([name.encode("utf-8", "backslashreplace").decode() for name in found.names])
  with files.new_file(path, "--out") as file:
    np.savez(
      file,
      features=found.features,
      names=names,
      facts=np.array(json.dumps(known)),
      skipped=np.array(json.dumps(found.skipped)),
    )
