"""Builds and checks the components of a training run, before anything compiles."""

import dataclasses
import pathlib

import jax
import optax
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common import progress
from vireid_jax.common.durations import Clock
from vireid_jax.common.errors import UserError
from vireid_jax.config import parts
from vireid_jax.config.images import count_train_images, load_train_images, open_dataset
from vireid_jax.data.prepared.source import Dataset
from vireid_jax.data.training import placement
from vireid_jax.data.training.pipeline import TrainData
from vireid_jax.experiment import evaluate, unseen
from vireid_jax.experiment.notices import Notices
from vireid_jax.methods.base import Method
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.runtime.timing import Stopwatch
from vireid_jax.training import first_state, optim
from vireid_jax.training.best import BestCheckpoint
from vireid_jax.training.checkpoint import Checkpoints
from vireid_jax.training.state import TrainState


@dataclasses.dataclass
class Run:
  """The components of a training run."""

  config: ConfigDict
  workdir: pathlib.Path
  mesh: jax.sharding.Mesh
  dataset: Dataset
  data: TrainData
  clock: Clock
  method: Method
  schedule: optim.Schedule
  optimizer: optax.GradientTransformation
  abstract: TrainState
  checkpoints: Checkpoints
  evaluation: evaluate.Evaluation
  best: BestCheckpoint
  total_steps: int
  timer: Stopwatch
  notices: Notices

  def every(self, key: str) -> int:
    """Converts the duration `config.<key>.every` to steps; 0 is never."""
    return self.clock.steps(self.config[key].every, key=f"{key}.every")

  @property
  def meta(self) -> dict:
    """Metadata saved with the state."""
    return {
      "config": config_lib.to_dict(self.config),
      "identities": self.data.identities.tolist(),
      "people": unseen.people(self.dataset, self.data.identities),
      "steps_per_epoch": self.clock.steps_per_epoch,
      "data": self.data.fingerprint,
    }


def build(config: ConfigDict, workdir: pathlib.Path) -> Run:
  """Checks a valid config against data, devices and workdir, and builds the components of a run.

  It does not remove the remains of killed runs: only the holder of the workdir's lock may.
  """
  timer = Stopwatch()
  checkpoints = Checkpoints(workdir, keep=config.checkpoint.keep)
  _check_continues(checkpoints, config, workdir)
  mesh = mesh_lib.make_mesh()
  pairs = config.sampler.num_identities * config.sampler.num_instances
  mesh_lib.check_divisible(pairs // config.train.accumulate, mesh)
  with progress.part("reading data"):
    dataset = open_dataset(config)
    data = _load_train_data(config, dataset)
  _check_same_data(checkpoints, data, dataset)
  clock = parts.make_clock(config, data.steps_per_epoch)
  for key in ("checkpoint", "eval", "log"):  # refuses bad durations early
    clock.steps(config[key].every, key=f"{key}.every")
  checkpoints.keep_every(clock.steps(config.checkpoint.keep_every, key="checkpoint.keep_every"))
  method = parts.make_method(
    config, num_classes=len(data.identities), steps_per_epoch=clock.steps_per_epoch
  )
  schedule, optimizer = parts.make_optimizer(config, method, clock)
  with progress.part("building the network"):
    abstract = first_state.abstract(config.data.image_size, config.seed, method, optimizer, mesh)
  optim.check_names(config.optim, abstract.params)
  with progress.part("reading test data"):
    evaluation = evaluate.Evaluation(config, dataset, method, mesh)
  evaluation.check_metric(config.checkpoint.keep_best)
  run = Run(
    config=config,
    workdir=workdir,
    mesh=mesh,
    dataset=dataset,
    data=data,
    clock=clock,
    method=method,
    schedule=schedule,
    optimizer=optimizer,
    abstract=abstract,
    checkpoints=checkpoints,
    evaluation=evaluation,
    best=BestCheckpoint(workdir, config.checkpoint.keep_best, first_trial=config.eval.quick),
    total_steps=clock.steps(config.train.duration, key="train.duration"),
    timer=timer,
    notices=Notices(workdir),
  )
  evaluation.check_unseen(run.meta)
  return run


def _load_train_data(config: ConfigDict, dataset: Dataset) -> TrainData:
  masks = methods.needs_masks(config.method)
  height, width = config.data.image_size
  needed = count_train_images(config, dataset) * height * width * (4 if masks else 3)
  chosen = placement.choose(config.data.placement, needed)
  if jax.process_index() == 0:
    print(f"training images: {chosen.name} ({chosen.reason})", flush=True)
  on_disk = chosen.name == placement.STREAM
  return TrainData(
    load_train_images(config, dataset, masks=masks, on_disk=on_disk),
    size=tuple(config.data.image_size),
    resize=config.data.resize,
    seed=config.seed,
    sampler_config=config.sampler.to_dict(),
    placement=chosen.name,
  )


def _check_continues(checkpoints: Checkpoints, config: ConfigDict, workdir: pathlib.Path) -> None:
  step = checkpoints.latest()
  if step is None:
    return
  stored = checkpoints.meta(step)["config"]
  config_lib.refuse_old(stored, f"{workdir}, checkpoint {step},")
  lines = config_lib.differences(stored, config_lib.to_dict(config))
  if lines:
    raise UserError(
      f"{workdir} has a checkpoint (step {step}) of a different config. Continue with its values, "
      "or choose another --workdir. Differences (checkpoint -> command):\n  " + "\n  ".join(lines)
    )


def _check_same_data(checkpoints: Checkpoints, data: TrainData, dataset: Dataset) -> None:
  step = checkpoints.latest()
  stored = None if step is None else checkpoints.meta(step).get("data")
  if stored and stored != data.fingerprint:
    raise UserError(
      f"the training images of {dataset.name} in {dataset.folder} differ from those of checkpoint "
      f"{step} (fingerprint {stored} -> {data.fingerprint}); continue with the data set it was "
      "trained on, or choose another --workdir"
    )
