"""Reading a checkpoint together with everything that its features depend on."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np

from vireid_jax import methods
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.common.types import Variables
from vireid_jax.common.workdir_files import CHECKPOINTS
from vireid_jax.config import with_tuples
from vireid_jax.methods.base import Method
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training.checkpoint import Checkpoints, choose_step


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
  def facts(self) -> dict[str, Any]:
    """What decides a feature besides the variables; JSON."""
    normalize = {
      modality: [text for text in operations if text.startswith("normalize")]
      for modality, operations in self.operations.items()
    }
    return {
      "method": self.config["method"],
      "image_size": self.image_size,
      "resize": self.resize,
      "normalize": normalize,
    }

  def fingerprint(self) -> str:
    """Returns 16 hex digits that change with any variable or setting that decides a feature."""
    digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
    for path, leaf in jax.tree.leaves_with_path(self.variables):
      values = np.ascontiguousarray(leaf)
      digest.update(f"{jax.tree_util.keystr(path)}{values.dtype}{values.shape}".encode())
      digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def restore(folder: str | pathlib.Path, *, step: int | None = None) -> Trained:
  """Reads a checkpoint; the data set that it was trained on need not be there.

  Args:
    folder: a workdir, its `best` folder, or what `import_weights` wrote.
    step: of the checkpoint; the latest when None.

  Raises:
    UserError: no checkpoint there, none of this step, or a method with other options now.
  """
  folder = pathlib.Path(folder).expanduser()
  _check_folder(folder)
  checkpoints = Checkpoints(folder, keep=None)
  step = choose_step(checkpoints, folder, step)
  meta = checkpoints.meta(step)
  config = with_tuples(meta["config"])
  method = methods.create(
    config["method"], num_classes=len(meta["identities"]), steps_per_epoch=meta["steps_per_epoch"]
  )
  mesh = mesh_lib.make_mesh()
  variables = checkpoints.restore_variables(step, mesh_lib.replicated(mesh))
  return Trained(folder, step, config, method, variables, mesh)


def _check_folder(folder: pathlib.Path) -> None:
  if (folder / CHECKPOINTS).is_dir():
    return
  nearby = [path for path in (folder.parent, folder.parent.parent) if (path / CHECKPOINTS).is_dir()]
  hint = (
    f"did you mean {nearby[0]}? A step is chosen with --step"
    if nearby
    else "name the --workdir of a training run, its best/ folder, or one of imported weights"
  )
  raise UserError(f"{folder} holds no checkpoints; {hint}")
