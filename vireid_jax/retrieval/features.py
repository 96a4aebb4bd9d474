"""Files of features, with the facts needed to use them."""

import argparse
import itertools
import json
import pathlib
import sys
import zipfile
from collections.abc import Iterable

import numpy as np

from vireid_jax.common import files, formats, paths, units
from vireid_jax.common.errors import UserError, printable


def embed(options: argparse.Namespace) -> str:
  """Embeds a folder, or a share of it, and writes the features to a file.

  Returns:
    What was written, as `options.format` says.

  Raises:
    UserError: There is no checkpoint or no picture, or the file cannot be written.
  """
  from vireid_jax.retrieval import model as model_lib
  from vireid_jax.retrieval import shards

  out = paths.path(options.out, "--out=")
  files.check_file(out, "--out")  # before minutes of embedding
  shard = None if options.shards is None else shards.parse(options.shards)
  if shard and options.merge:
    raise UserError(
      "--shards and --merge exclude each other; --merge joins what all --shards wrote"
    )
  model = model_lib.load(
    options.checkpoint, step=options.step, normalize=not options.raw, batch=options.batch
  )
  if shard:
    return _embed_share(options, model, out, shard)
  return (_merge if options.merge else _embed_all)(options, model, out)


def _embed_all(options, model, out: pathlib.Path) -> str:
  found = model.embed_folder(options.images, options.modality, progress=True)
  known = facts(model, options)
  _tell(options, found)
  write(out, [found.features], found, known)
  return _describe(options, out, found, model.feature_size, known)


def _embed_share(options, model, out: pathlib.Path, shard) -> str:
  from vireid_jax.retrieval import shards

  work = shards.divide(model, options.images, options.modality, out)
  count, kept = shards.embed(model, options.modality, work, shard)
  if options.format == formats.TABLE:
    folder = printable(str(work.folder))
    return f"share {shard}: {count} files, {kept} of them finished before: {folder}"
  row = {"file": str(work.folder), "share": str(shard), "files": count, "kept": kept}
  return formats.written(options.format, "embed", [formats.Column(name) for name in row], [row])


def _merge(options, model, out: pathlib.Path) -> str:
  from vireid_jax.retrieval import shards
  from vireid_jax.retrieval.model import Embedded

  work = shards.divide(model, options.images, options.modality, out)
  pieces = shards.finished(work)
  names = [work.names[row] for piece in pieces for row in piece.kept]
  found = Embedded(names, None, shards.skipped(work, pieces))
  known = facts(model, options)
  _tell(options, found)
  write(out, shards.blocks(pieces), found, known)
  print(f"joined {len(pieces)} pieces of {printable(str(work.folder))}, which can be deleted")
  return _describe(options, out, found, model.feature_size, known)


def _tell(options, found) -> None:
  """Prints what was skipped.

  Raises:
    UserError: There is no picture.
  """
  from vireid_jax.retrieval.pictures import describe_skipped

  if found.skipped:
    print(describe_skipped(found.skipped), file=sys.stderr)
  if not found.names:
    raise UserError(f"{options.images} has no readable picture; nothing was written")


def _describe(options, out: pathlib.Path, found, size: int, known: dict) -> str:
  """Returns a summary for a person, or a row for a program."""
  from vireid_jax.retrieval.pictures import count_turned, folder_of

  form, count = options.format, len(found.names)
  turned = count_turned(folder_of(options.images), found.names)
  if form == formats.TABLE:
    lines = [f"{count} pictures, {size} dimensions: {printable(str(out))}"]
    lines += [f"turned by EXIF orientation: {turned}"] if turned else []
    return "\n".join(lines)
  row = {"file": str(out), "pictures": count, "dimensions": size, "turned": turned}
  row |= {"skipped": len(found.skipped), "modality": known["modality"]}
  columns = [formats.Column(name) for name in row]
  return formats.written(form, "embed", columns, [row], facts=known, skipped_files=found.skipped)


def facts(model, options: argparse.Namespace) -> dict:
  """Returns the facts about a folder's features as JSON values."""
  return {
    "modality": options.modality,
    "method": model.method,
    "feature": model.feature,
    "normalized": model.normalize,
    "checkpoint": str(model.trained.folder),
    "step": model.trained.step,
    "trained_on": model.trained.trained_on,
    "image_size": list(model.image_size),
    "fingerprint": model.fingerprint(),
    "images": str(pathlib.Path(options.images).expanduser().resolve()),
  }


def write(path: pathlib.Path, blocks: Iterable[np.ndarray], found, known: dict) -> None:
  """Writes features, names and facts to a file, atomically and block by block.

  Args:
    path: Path of the file.
    blocks: float32 [b, d] each, together the features of all names.
    found: The `names` of the pictures, and the reasons by name of those `skipped`.
    known: Facts.
  """
  names = np.array([name.encode("utf-8", "backslashreplace").decode() for name in found.names])
  blocks = iter(blocks)
  first = next(blocks)
  # As numpy.savez writes them, which needs all features at once.
  with (
    files.new_file(path, "--out") as file,
    zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as members,
  ):
    with members.open("features.npy", "w", force_zip64=True) as member:
      form = {"descr": "<f4", "fortran_order": False, "shape": (len(names), first.shape[1])}
      np.lib.format.write_array_header_1_0(member, form)
      for block in itertools.chain([first], blocks):
        member.write(np.ascontiguousarray(block, "<f4"))
    described = json.dumps({**known, **units.entry(units.FEATURES)})
    rest = {"names": names, "facts": described, "skipped": json.dumps(found.skipped)}
    for name, value in rest.items():
      with members.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)
