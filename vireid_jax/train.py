"""Training: build, restore, loop. No maths and no method names."""

import dataclasses
import pathlib
import time

import jax
import optax
from ml_collections import ConfigDict

from vireid_jax import compilation, evaluate, methods, optim, train_state, train_step, warm_start
from vireid_jax import config as config_lib
from vireid_jax import mesh as mesh_lib
from vireid_jax.best import BestCheckpoint
from vireid_jax.checkpoint import Checkpoints
from vireid_jax.data import augment, pipeline, rendered
from vireid_jax.data.pipeline import TrainData
from vireid_jax.data.schema import MODALITIES
from vireid_jax.data.source import Dataset
from vireid_jax.durations import Clock
from vireid_jax.errors import UserError
from vireid_jax.methods.base import Batch, Method
from vireid_jax.metrics import MetricWriter
from vireid_jax.models import summary
from vireid_jax.preemption import StopSignal
from vireid_jax.progress import Progress
from vireid_jax.train_state import TrainState


class Preempted(Exception):
  """The run was asked to stop; its state is saved and the same command continues it."""


@dataclasses.dataclass
class Run:
  """Everything a training run is made of; built before anything compiles."""

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

  def every(self, key: str) -> int:
    """Converts the duration at `config.<key>.every` to steps; 0 is never."""
    return self.clock.steps(self.config[key].every, key=f"{key}.every")

  @property
  def meta(self) -> dict:
    """What is saved beside the state."""
    return {
      "config": config_lib.to_dict(self.config),
      "identities": self.data.identities.tolist(),
      "steps_per_epoch": self.clock.steps_per_epoch,
    }


def train(config: ConfigDict, workdir: pathlib.Path) -> evaluate.Results:
  """Trains, continuing from the workdir's latest checkpoint, and evaluates the last step.

  Args:
    config: see `vireid_jax.config`.
    workdir: receives checkpoints, metrics and results; made when absent.

  Returns:
    The final evaluation's results per setting.

  Raises:
    UserError: for bad input, before anything compiles.
    Preempted: when a signal asked to stop; the state is saved.
  """
  run = build(config, workdir)
  state = _restore(run) or _initial_state(run)
  with StopSignal() as stop:
    state = _loop(run, state, stop)
  run.checkpoints.close()
  results = _evaluate(run, state, int(state.step))
  run.best.close()
  return results


def build(config: ConfigDict, workdir: pathlib.Path) -> Run:
  """Checks the config against data, devices and workdir, and builds the parts of a run."""
  config_lib.validate(config)
  workdir.mkdir(parents=True, exist_ok=True)
  checkpoints = Checkpoints(workdir, keep=config.checkpoint.keep)
  _check_continues(checkpoints, config, workdir)
  mesh = mesh_lib.make_mesh()
  pairs = config.sampler.identities * config.sampler.images
  mesh_lib.check_divisible(pairs, mesh)
  rendered.ensure(config.data)
  dataset = Dataset(config.data.name, rendered.data_dir(config.data))
  data = _load_train_data(config, dataset)
  clock = Clock(data.steps_per_epoch, 2 * pairs)
  method = methods.create(
    config.method, num_classes=len(data.identities), steps_per_epoch=data.steps_per_epoch
  )
  schedule = optim.make_schedule(config.optim, clock)
  optimizer = optim.create(config.optim, schedule)
  abstract = _abstract_state(config, method, optimizer, pairs, mesh)
  optim.check_names(config.optim, abstract.params)
  return Run(
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
    evaluation=evaluate.Evaluation(config, dataset, method, mesh),
    best=BestCheckpoint(workdir, config.checkpoint.keep_best, first_trial=config.eval.quick),
    total_steps=clock.steps(config.train.duration, key="train.duration"),
  )


def make_augment_pair(config: ConfigDict) -> train_step.Augment | None:
  """Builds the operations that both images of a pair share; None where there are none."""
  return augment.make_pair_pipeline(config.augment.pair) if config.augment.pair else None


def make_augment(config: ConfigDict) -> train_step.Augment:
  """Builds the augmentation of a batch from the operations of each modality.

  It leaves masks out of what it returns: they do not follow an image that is cropped.
  """
  pipelines = {name: augment.make_pipeline(config.augment[name]) for name in MODALITIES}

  def apply(key: jax.Array, batch: Batch) -> Batch:
    keys = jax.random.split(key, len(MODALITIES))
    images = {
      name: pipelines[name](keys[index], batch[name]) for index, name in enumerate(MODALITIES)
    }
    return {**images, "label": batch["label"]}

  return apply


def _load_train_data(config: ConfigDict, dataset: Dataset) -> TrainData:
  parts = (config_lib.part(config, part) for part in config.data.train)
  images = dataset.load(*parts, masks=config_lib.needs_masks(config))
  if config.data.drop_unpaired:
    images = pipeline.drop_unpaired(images)
  return TrainData(
    images,
    size=tuple(config.data.image_size),
    resize=config.data.resize,
    seed=config.seed,
    sampler_config=config.sampler.to_dict(),
    progress=jax.process_index() == 0,
  )


def _check_continues(checkpoints: Checkpoints, config: ConfigDict, workdir: pathlib.Path) -> None:
  step = checkpoints.latest()
  if step is None:
    return
  lines = config_lib.differences(checkpoints.meta(step)["config"], config_lib.to_dict(config))
  if lines:
    raise UserError(
      f"{workdir} holds a checkpoint (step {step}) of a different config. Continue it with its own "
      "values, or choose another --workdir. Differences (checkpoint -> command):\n  "
      + "\n  ".join(lines)
    )


def _draw_state(run_config, method, optimizer, pairs) -> TrainState:
  height, width = run_config.data.image_size
  images = jax.numpy.zeros((pairs, height, width, 3))
  batch = {"visible": images, "infrared": images, "label": jax.numpy.zeros(pairs, jax.numpy.int32)}
  return train_state.create(method.init(jax.random.key(run_config.seed), batch), optimizer)


def _abstract_state(config, method, optimizer, pairs, mesh) -> TrainState:
  shapes = jax.eval_shape(lambda: _draw_state(config, method, optimizer, pairs))
  sharding = mesh_lib.replicated(mesh)
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)


def _initial_state(run: Run) -> TrainState:
  """Draws the state under jit, so that no eager alias of a later donated buffer exists."""
  # Two pairs are enough to draw variables: no shape of theirs depends on the batch.
  state = compilation.run_once(
    lambda: _draw_state(run.config, run.method, run.optimizer, 2),
    out_shardings=mesh_lib.replicated(run.mesh),
  )
  state = warm_start.fill(state, run.config, mesh_lib.replicated(run.mesh))
  if jax.process_index() == 0:
    print(summary.describe(state.variables), flush=True)
    shapes = run.workdir / "parameters.tsv"
    shapes.write_text(summary.list_shapes(state.variables))
    print(f"every shape: {shapes}", flush=True)
    config_lib.save(run.config, run.workdir / "config.json")
  if run.config.eval.at_start:
    _evaluate(run, state, 0, quick=run.config.eval.quick)
  return state


def _restore(run: Run) -> TrainState | None:
  step = run.checkpoints.latest()
  if step is None:
    return None
  state = run.checkpoints.restore(step, run.abstract)
  if jax.process_index() == 0:
    print(f"continuing {run.workdir} at step {step} of {run.total_steps}", flush=True)
  return state


def _loop(run: Run, state: TrainState, stop: StopSignal) -> TrainState:
  step_function = jax.jit(
    train_step.make_train_step(
      run.method,
      run.optimizer,
      make_augment(run.config),
      seed=run.config.seed,
      augment_pair=make_augment_pair(run.config),
    ),
    donate_argnums=0,
  )
  first = int(state.step)
  writer = MetricWriter(
    run.workdir, tensorboard=run.config.log.tensorboard, enabled=jax.process_index() == 0
  )
  progress = Progress(run.total_steps, first, run.clock.batch_images)
  log_every, save_every, eval_every = (run.every(key) for key in ("log", "checkpoint", "eval"))
  batches = run.data.batches(first, run.total_steps, run.mesh)
  for step, batch in zip(range(first + 1, run.total_steps + 1), batches, strict=True):
    state, scalars = step_function(state, batch)
    last = step == run.total_steps
    if last or _is_due(step, log_every):
      scalars = _fetch(scalars, step, run)
      writer.write(step, {**scalars, **progress.rate(step)})
      progress.show(step, scalars)
    if last or _is_due(step, save_every) or stop.requested:
      run.checkpoints.save(step, state, run.meta)
    if stop.requested and not last:
      run.checkpoints.close()
      run.best.close()
      raise Preempted(f"stopped by {stop.name} at step {step}; the state is saved")
    if not last and _is_due(step, eval_every):
      results = _evaluate(run, state, step, quick=run.config.eval.quick)
      writer.write(step, run.evaluation.scalars(results))
  progress.close()
  writer.close()
  return state


def _fetch(scalars: dict[str, jax.Array], step: int, run: Run) -> dict[str, float]:
  values = {name: float(value) for name, value in jax.device_get(scalars).items()}
  bad = [name for name, value in values.items() if not abs(value) < float("inf")]
  if bad:
    raise UserError(
      f"step {step}: {', '.join(bad)} is not finite. The last good checkpoint is step "
      f"{run.checkpoints.latest()}; lower optim.lr or lengthen optim.warmup"
    )
  return {**values, "lr": float(run.schedule(step - 1)), "epoch": step / run.clock.steps_per_epoch}


def _evaluate(run: Run, state: TrainState, step: int, *, quick=False) -> evaluate.Results:
  started = time.time()
  results = run.evaluation(state.variables, quick=quick)
  seconds, trained = time.time() - started, run.meta["config"]
  evaluate.report(run.evaluation, results, run.workdir, step, trained=trained, seconds=seconds)
  run.best.offer(step, state, results, run.meta)
  return results


def _is_due(step: int, every: int) -> bool:
  return every > 0 and step % every == 0
