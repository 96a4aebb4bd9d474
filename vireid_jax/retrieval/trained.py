"""Opens trained networks: from a workdir to its config, method and variables.

All commands that use a trained network open it here.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from vireid_jax.common import hints, paths, tree_paths
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.common.types import Variables
from vireid_jax.common.workdir_files import CHECKPOINTS
from vireid_jax.config import refuse_old, with_tuples
from vireid_jax.config.parts import make_method
from vireid_jax.evaluators.embed import Embedder, feature_methods
from vireid_jax.methods.base import Method
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training.checkpoint import Checkpoints, choose_step


@dataclasses.dataclass(frozen=True)
class Stored:
  """A checkpoint whose arrays are still on disk.

  Attributes:
    folder: Folder of the run.
    step: Step of the checkpoint; 0 for imported weights.
    meta: Values saved with it: 'config' of the run as JSON, 'identities', 'steps_per_epoch', ...
    checkpoints: Reader of the checkpoints.
  """

  folder: pathlib.Path
  step: int
  meta: Mapping[str, Any]
  checkpoints: Checkpoints

  @property
  def config(self) -> dict[str, Any]:
    """Config of the run, as plain dictionaries with tuples."""
    return with_tuples(self.meta["config"])

  def create_method(self, config: Mapping[str, Any]) -> Method:
    """Builds the method of a config, with as many classes as in training.

    Args:
      config: Complete config, of the run or of an evaluation.

    Raises:
      UserError: The method or an option is unknown.
    """
    steps_per_epoch = self.meta["steps_per_epoch"]
    classes = len(self.meta["identities"])
    return make_method(config, num_classes=classes, steps_per_epoch=steps_per_epoch)

  def read(self, mesh: jax.sharding.Mesh) -> Variables:
    """Reads the variables onto the devices of a mesh, replicated."""
    return self.checkpoints.restore_variables(self.step, mesh_lib.replicated(mesh))


@dataclasses.dataclass(frozen=True)
class Trained:
  """A checkpoint, ready for use.

  Attributes:
    folder: Folder of the run.
    step: Step of the checkpoint; 0 for imported weights.
    config: Config of the run, as plain dictionaries with tuples.
    method: Method, built from that config.
    variables: Variables of the method, on the devices of the mesh.
    mesh: Mesh of devices.
  """

  folder: pathlib.Path
  step: int
  config: dict[str, Any]
  method: Method
  variables: Variables
  mesh: jax.sharding.Mesh

  @property
  def image_size(self) -> tuple[int, int]:
    """(height, width) of the network's input."""
    return tuple(self.config["data"]["image_size"])

  @property
  def resize(self) -> str:
    """Filter for resizing, as in `data.prepared.source.decode`."""
    return self.config["data"]["resize"]

  @property
  def operations(self) -> dict[str, tuple[str, ...]]:
    """Training augmentation by modality; features need its `normalize`."""
    return {modality: self.config["augment"][modality] for modality in MODALITIES}

  @property
  def method_name(self) -> str:
    """Name of the method."""
    return self.config["method"]["name"]

  @property
  def trained_on(self) -> str:
    """Name of the data set."""
    return self.config["data"]["name"]

  @functools.cached_property
  def retrieval_methods(self) -> dict[str, Method]:
    """The method, by the name of its retrieval feature."""
    return feature_methods(self.method, ())

  @property
  def feature(self) -> str:
    """Name of the feature: 'after_neck', 'before_neck' or 'feature'."""
    return next(iter(self.retrieval_methods))

  @property
  def feature_size(self) -> int:
    """Number of dimensions of a feature."""
    method = self.retrieval_methods[self.feature]
    images = jax.ShapeDtypeStruct((1, *self.image_size, 3), np.float32)
    shape = jax.eval_shape(lambda v, x: method.embed(v, x, "visible"), self.variables, images)
    return shape.shape[1]

  def embedder(self, methods: Mapping[str, Method], *, batch: int, flip: bool = False) -> Embedder:
    """Returns an embedder with the sizes and operations of training.

    Args:
      methods: Methods by name of their feature.
      batch: Number of images per step.
      flip: Whether to average with the mirror image.
    """
    return Embedder(
      methods,
      self.mesh,
      size=self.image_size,
      resize=self.resize,
      operations=self.operations,
      batch=batch,
      flip=flip,
    )

  def feature_function(self, batch: int) -> Callable[[np.ndarray, str], np.ndarray]:
    """Returns (uint8 [b, h, w, 3], modality) -> float32 [b, d] for b up to `batch`."""
    embedder = self.embedder(self.retrieval_methods, batch=batch)

    def embed(pixels: np.ndarray, modality: str) -> np.ndarray:
      return embedder.embed_pixels(self.variables, modality, pixels)[self.feature][: len(pixels)]

    return embed

  @property
  def facts(self) -> dict[str, Any]:
    """Settings that affect features, besides the variables, as JSON values."""
    normalize = {
      modality: [text for text in operations if text.startswith("normalize")]
      for modality, operations in self.operations.items()
    }
    return {
      "method": self.config["method"],
      "numerics": self.config["numerics"],
      "image_size": self.image_size,
      "resize": self.resize,
      "normalize": normalize,
    }

  def fingerprint(self) -> str:
    """Returns 16 hex digits that change with any variable or setting that affects features."""
    digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
    for name, leaf in tree_paths.named_leaves(self.variables).items():
      values = np.ascontiguousarray(leaf)
      digest.update(f"{name}{values.dtype}{values.shape}".encode())
      digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def find_checkpoint(folder: str | pathlib.Path, *, step: int | None = None) -> Stored:
  """Finds a checkpoint and reads its metadata, but no arrays.

  Args:
    folder: Workdir, its `best` folder, or the output of `import_weights`.
    step: Step of the checkpoint; None for the latest.

  Raises:
    UserError: There is no checkpoint, none of this step, or it is from an earlier version.
  """
  folder = paths.path(folder)
  _check_folder(folder)
  checkpoints = Checkpoints(folder, keep=None)
  step = choose_step(checkpoints, folder, step)
  meta = checkpoints.meta(step)
  refuse_old(meta["config"], f"{folder}, checkpoint {step},")
  return Stored(folder, step, meta, checkpoints)


def restore(folder: str | pathlib.Path, *, step: int | None = None) -> Trained:
  """Reads a checkpoint; the training data set is not needed.

  Args:
    folder, step: As in `find_checkpoint`.

  Raises:
    UserError: There is no checkpoint, none of this step, or the method's options have changed.
  """
  stored = find_checkpoint(folder, step=step)
  config, mesh = stored.config, mesh_lib.make_mesh()
  method = stored.create_method(config)
  return Trained(stored.folder, stored.step, config, method, stored.read(mesh), mesh)


def _check_folder(folder: pathlib.Path) -> None:
  if (folder / CHECKPOINTS).is_dir():
    return
  nearby = [path for path in (folder.parent, folder.parent.parent) if (path / CHECKPOINTS).is_dir()]
  hint = (
    f"did you mean {nearby[0]}? Choose a step with --step"
    if nearby
    else f"train first with {hints.command('train', '--config', 'FILE')}, or give the --workdir of "
    "a training run, its best/ folder, or one of imported weights"
  )
  raise UserError(f"{folder} holds no checkpoints; {hint}")
