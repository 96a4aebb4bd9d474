"""Files of features, with the facts needed to use them."""

import argparse
import json
import pathlib
import sys

import numpy as np

from vireid_jax.common import files, formats, paths
from vireid_jax.common.errors import UserError, printable


def embed(options: argparse.Namespace) -> str:
  """Embeds a folder and writes the features to a file.

  Returns:
    What was written, as `options.format` says.

  Raises:
    UserError: There is no checkpoint or no picture, or the file cannot be written.
  """
  from vireid_jax.retrieval import model as model_lib
  from vireid_jax.retrieval.pictures import count_turned, describe_skipped, folder_of

  out = paths.path(options.out, "--out=")
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
  turned = count_turned(folder_of(options.images), found.names)
  return _describe(options.format, out, found, facts(model, options.modality), turned)


def _describe(form: str, out: pathlib.Path, found, known: dict, turned: int) -> str:
  """Returns a summary for a person, or a row for a program."""
  count, size = found.features.shape
  if form == formats.TABLE:
    lines = [f"{count} pictures, {size} dimensions: {printable(str(out))}"]
    lines += [f"turned by EXIF orientation: {turned}"] if turned else []
    return "\n".join(lines)
  row = {"file": str(out), "pictures": count, "dimensions": size, "turned": turned}
  row |= {"skipped": len(found.skipped), "modality": known["modality"]}
  columns = [formats.Column(name) for name in row]
  return formats.written(form, "embed", columns, [row], facts=known, skipped_files=found.skipped)


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
