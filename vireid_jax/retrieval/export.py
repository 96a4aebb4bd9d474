"""Exports a retrieval function as a portable artifact.

These choices hold on every exporting device:

* Images are uint8 [n, height, width, 3], RGB, already resized, as decoded. Scaling and normalising
  are inside the function, so that nobody can get them wrong. Resizing is not, because training uses
  Pillow's antialiased filters, which no StableHLO operation reproduces exactly; `reader.py` resizes
  with Pillow.
* float32, XLA's own convolutions, and the highest precision of matrix products. Training's defaults
  depend on the device (bfloat16 on accelerators, other lowerings on CPU), so none of them suits an
  artifact for three kinds of device; the default precision of tensor cores and TPUs is below
  float32.
* Weights are arguments, not constants: large constants compile slowly, and the modalities share
  most weights. Weights that retrieval does not use, such as classifiers, are left out.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import importlib.util
import pathlib
import shutil
import time
from collections.abc import Iterator, Sequence

import numpy as np

from vireid_jax.common import files, folders, paths, units
from vireid_jax.common.errors import UserError, printable
from vireid_jax.retrieval.card import CARD, FORMAT

PLATFORMS = ("cpu", "cuda", "tpu")
WEIGHTS, READER = "weights.npz", "reader.py"
OWN = (
  *(CARD, WEIGHTS, READER, "visible.stablehlo", "infrared.stablehlo", "__pycache__"),
  *("visible.onnx", "infrared.onnx"),
)


def export(options: argparse.Namespace) -> None:
  """Exports a checkpoint and prints a summary.

  Raises:
    UserError: There is no checkpoint, the folder cannot be written, or the method depends on the
      number of images.
  """
  from vireid_jax.retrieval import model as model_lib
  from vireid_jax.retrieval.exported import is_export

  out = paths.path(options.out, "--out=")
  check_replaceable(out)
  files.check_writable(out.absolute().parent, "--out")
  if options.onnx:
    _check_onnx()
  if is_export(paths.path(options.checkpoint, "--checkpoint=")):
    raise UserError(f"{options.checkpoint} is already an export; copy the folder")
  model = model_lib.load(options.checkpoint, step=options.step, normalize=not options.raw)
  started = time.perf_counter()
  with files.writing(out, "--out"):
    write(model, out, onnx=options.onnx)
  size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
  seconds, place = time.perf_counter() - started, printable(str(out))
  print(f"{place}: {size:.1f} MB in {seconds:.1f} s, {model.feature_size} dimensions; see {CARD}")


def check_replaceable(out: pathlib.Path) -> None:
  """Raises UserError if the folder has files that are not from an earlier export."""
  if out.exists() and not out.is_dir():
    raise UserError(f"--out={out} is a file; give a folder")
  found = {path.name for path in out.iterdir()} if out.is_dir() else set()
  foreign = sorted(name for name in found if name not in OWN and not name.startswith("."))
  if foreign:
    names = ", ".join(foreign[:3]) + (" ..." if len(foreign) > 3 else "")
    raise UserError(
      f"--out={out} holds {names}, which no export wrote; an export replaces the whole folder. "
      "Give another folder, or move these files away"
    )


def _check_onnx() -> None:
  """Raises UserError unless the package onnx is installed."""
  if importlib.util.find_spec("onnx") is None:
    raise UserError(
      "--onnx needs the package onnx: pip install 'vireid_jax[onnx]' (in a checkout pip install -e "
      "'.[onnx]'); or omit --onnx"
    )


def write(model, out: pathlib.Path, *, onnx: bool = False) -> None:
  """Writes the artifact of a `retrieval.model.Model` atomically.

  Args:
    model: Model to export; its `normalize` decides whether exported features have unit length.
    out: Folder to create; an earlier export is replaced.
    onnx: Whether to write an ONNX model of each modality too.

  Raises:
    UserError: `out` has other files.
  """
  check_replaceable(out)
  out = out.absolute()
  out.parent.mkdir(parents=True, exist_ok=True)
  with folders.staged(out) as folder:
    _fill(model, folder, onnx=onnx)
    folders.put(folder, out, mark=CARD)


def _fill(model, out: pathlib.Path, *, onnx: bool) -> None:
  from vireid_jax.common import tree_paths
  from vireid_jax.common.records import MODALITIES

  leaves, weights, functions = tree_paths.named_leaves(model.trained.variables), {}, {}
  for modality in MODALITIES:
    with _explained(model.method):
      exported, names = _export_used(model, modality, leaves)
    file = f"{modality}.stablehlo"
    (out / file).write_bytes(exported.serialize())
    functions[modality] = {"file": file, "arguments": names}
    weights |= {name: np.asarray(leaves[name]) for name in names}
    if onnx:
      functions[modality]["onnx"] = f"{modality}.onnx"
      (out / f"{modality}.onnx").write_bytes(_onnx(model, modality, leaves, names))
  np.savez(out / WEIGHTS, **weights)
  hashes = {path.name: _sha256(path) for path in sorted(out.iterdir())}
  known = card(model, functions) | {"sha256": hashes}
  files.write_json(out / CARD, known)
  shutil.copyfile(pathlib.Path(__file__).with_name("export_reader.py"), out / READER)


def _onnx(model, modality: str, leaves: dict, names: Sequence[str]) -> bytes:
  """Returns the ONNX model of a modality, which holds its weights."""
  from vireid_jax.retrieval import onnx_export

  notes = {"modality": modality, "method": model.method, "resize": model.trained.resize}
  made = onnx_export.convert(
    _function(model, modality, leaves, names),
    [np.asarray(leaves[name]) for name in names],
    model.image_size,
    method=model.method,
    notes={**notes, "fingerprint": model.fingerprint()},
  )
  return made.SerializeToString()


def _sha256(path: pathlib.Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def card(model, functions: dict) -> dict:
  """Returns the card of the artifact as JSON values, without the hashes of its files.

  Args:
    model: Exported model.
    functions: File and names of the weights of each modality.
  """
  import jax.export

  from vireid_jax.common.package_versions import versions

  trained = model.trained
  return {
    "format": FORMAT,
    **units.entry(units.CARD),
    "modalities": functions,
    "weights": WEIGHTS,
    "image_size": list(model.image_size),
    "image": "uint8 [n, height, width, 3], RGB, 0 to 255, resized to image_size (height, width)",
    "resize": trained.resize,
    "normalization": {
      "inside": True,
      "operations": trained.facts["normalize"],
    },
    "feature": model.feature,
    "feature_size": model.feature_size,
    "unit_length": model.normalize,
    "method": model.method,
    "trained_on": trained.trained_on,
    "step": trained.step,
    "fingerprint": model.fingerprint(),
    "platforms": list(PLATFORMS),
    "precision": "float32, highest",
    "calling_convention": jax.export.maximum_supported_calling_convention_version,
    "versions": versions(),
  }


def portable(method):
  """Returns a copy of the method with numerics that work on every platform."""
  from vireid_jax.models.numerics import PORTABLE

  numerics = dataclasses.replace(method.numerics, **PORTABLE)
  return dataclasses.replace(method, numerics=numerics)


def _export_used(model, modality: str, leaves: dict):
  """Exports with the weights that the feature uses; returns (Exported, their names in order)."""
  import jax
  import jax.export
  import jax.numpy as jnp

  (count,) = jax.export.symbolic_shape("n")
  images = jax.ShapeDtypeStruct((count, *model.image_size, 3), jnp.uint8)
  with jax.default_matmul_precision("highest"):
    names = _read_by(_function(model, modality, leaves, list(leaves)), _shapes(leaves), images)
    given = [shape for name, shape in _shapes(leaves).items() if name in names]
    function = jax.jit(_function(model, modality, leaves, names))
    return jax.export.export(function, platforms=PLATFORMS)(given, images), names


@contextlib.contextmanager
def _explained(method: str) -> Iterator[None]:
  """Turns errors of Python and JAX at a batch of unknown size into a UserError."""
  import jax.errors

  try:
    yield
  except (TypeError, jax.errors.InconclusiveDimensionOperation) as error:
    reason = str(error).strip().splitlines()[0]
    raise UserError(
      f"the embed function of method {method!r} cannot be exported for any batch size: {reason}. "
      "Use images.shape[0], never len(images), and do not branch on it"
    ) from error


def _shapes(leaves: dict) -> dict:
  import jax

  return {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in leaves.items()}


def _read_by(function, shapes: dict, images) -> list[str]:
  """Returns the names of the weights that a function of (weights, images) uses, in order."""
  import jax

  jaxpr = jax.make_jaxpr(function)(list(shapes.values()), images).jaxpr
  read = {id(variable) for equation in jaxpr.eqns for variable in equation.invars}
  # Arguments are flattened in order: the weights come first, the images last.
  return [n for n, variable in zip(shapes, jaxpr.invars, strict=False) if id(variable) in read]


def _function(model, modality: str, leaves: dict, names: Sequence[str]):
  """Returns (weights in the order of `names`, uint8 images) -> features."""
  import jax
  import jax.numpy as jnp

  from vireid_jax.evaluators.embed import retrieval_function
  from vireid_jax.losses.distance import unit

  trained = model.trained
  methods = {model.feature: portable(trained.method)}
  embed = retrieval_function(methods, modality, trained.operations[modality])
  structure = jax.tree.structure(trained.variables)

  def function(weights, images):
    # Weights that are not arguments are not used; zeros take their place.
    known = dict(zip(names, weights, strict=True))
    whole = [known.get(k, jnp.zeros(leaf.shape, leaf.dtype)) for k, leaf in leaves.items()]
    features = embed(jax.tree.unflatten(structure, whole), images)[model.feature]
    return unit(features) if model.normalize else features

  return function
