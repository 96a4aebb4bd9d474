"""Opening a trained network: from a workdir to its config, its method and its variables.

Every command that uses a trained network comes through here.
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

from vireid_jax.common import hints, tree_paths
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
    folder: of the run.
    step: of the checkpoint; 0 for imported weights.
    meta: what was saved with it: 'config' of the run as JSON, 'identities', 'steps_per_epoch', ...
    checkpoints: reads it.
  """

  folder: pathlib.Path
  step: int
  meta: Mapping[str, Any]
  checkpoints: Checkpoints

  @property
  def config(self) -> dict[str, Any]:
    """The run's config, plain dictionaries with tuples."""
    return with_tuples(self.meta["config"])

  def create_method(self, config: Mapping[str, Any]) -> Method:
    """Builds the method of a config with the classes that were trained.

    Args:
      config: whole: the run's own, or an evaluation's.

    Raises:
      UserError: no such method or option.
    """
    steps_per_epoch = self.meta["steps_per_epoch"]
    classes = len(self.meta["identities"])
    return make_method(config, num_classes=classes, steps_per_epoch=steps_per_epoch)

  def read(self, mesh: jax.sharding.Mesh) -> Variables:
    """Reads the variables onto the devices of a mesh, a copy on each."""
    return self.checkpoints.restore_variables(self.step, mesh_lib.replicated(mesh))


@dataclasses.dataclass(frozen=True)
class Trained:
  """A checkpoint, ready to be used.

  Attributes:
    folder: where it was read.
    step: of the checkpoint; 0 for imported weights.
    config: of its run, plain dictionaries with tuples.
    method: built from that config.
    variables: of the method, on the mesh's devices.
    mesh: the devices.
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
    """The filter that pictures are resized by; see `data.prepared.source.decode`."""
    return self.config["data"]["resize"]

  @property
  def operations(self) -> dict[str, tuple[str, ...]]:
    """The augmentation of training, by modality; features need its `normalize`."""
    return {modality: self.config["augment"][modality] for modality in MODALITIES}

  @property
  def method_name(self) -> str:
    """The method's name."""
    return self.config["method"]["name"]

  @property
  def trained_on(self) -> str:
    """The data set's name."""
    return self.config["data"]["name"]

  @functools.cached_property
  def retrieval_methods(self) -> dict[str, Method]:
    """The method, under the name of the feature that it retrieves by."""
    return feature_methods(self.method, ())

  @property
  def feature(self) -> str:
    """Which of the method's features this is: 'after_neck', 'before_neck' or 'feature'."""
    return next(iter(self.retrieval_methods))

  @property
  def feature_size(self) -> int:
    """Dimensions of a feature."""
    method = self.retrieval_methods[self.feature]
    images = jax.ShapeDtypeStruct((1, *self.image_size, 3), np.float32)
    shape = jax.eval_shape(lambda v, x: method.embed(v, x, "visible"), self.variables, images)
    return shape.shape[1]

  def embedder(self, methods: Mapping[str, Method], *, batch: int, flip: bool = False) -> Embedder:
    """Returns what embeds images as the network saw them in training.

    Args:
      methods: by the name of the feature that each gives.
      batch: images per step.
      flip: add the feature of the mirrored image.
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
    """What decides a feature besides the variables; JSON."""
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
    """Returns 16 hex digits that change with any variable or setting that decides a feature."""
    digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
    for name, leaf in tree_paths.named_leaves(self.variables).items():
      values = np.ascontiguousarray(leaf)
      digest.update(f"{name}{values.dtype}{values.shape}".encode())
      digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def find_checkpoint(folder: str | pathlib.Path, *, step: int | None = None) -> Stored:
  """Finds a checkpoint and reads what was saved with it, but no array.

  Args:
    folder: a workdir, its `best` folder, or what `import_weights` wrote.
    step: of the checkpoint; the latest when None.

  Raises:
    UserError: no checkpoint there, none of this step, or one of an earlier version.
  """
  folder = pathlib.Path(folder).expanduser()
  _check_folder(folder)
  checkpoints = Checkpoints(folder, keep=None)
  step = choose_step(checkpoints, folder, step)
  meta = checkpoints.meta(step)
  refuse_old(meta["config"], f"{folder}, checkpoint {step},")
  return Stored(folder, step, meta, checkpoints)


def restore(folder: str | pathlib.Path, *, step: int | None = None) -> Trained:
  """Reads a checkpoint; the data set that it was trained on need not be there.

  Args:
    folder, step: see `find_checkpoint`.

  Raises:
    UserError: no checkpoint there, none of this step, or a method with other options now.
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
    f"did you mean {nearby[0]}? A step is chosen with --step"
    if nearby
    else f"train first with {hints.command('train', '--config', 'FILE')}, or name the --workdir of "
    "a training run, its best/ folder, or one of imported weights"
  )
  raise UserError(f"{folder} holds no checkpoints; {hint}")
