"""Time, memory and arithmetic of whole training steps, of several configs side by side."""

import argparse
import dataclasses
import statistics
import time

import jax
import numpy as np

from vireid_jax import config as config_lib
from vireid_jax import config_file, first_state, methods, optim, train, train_step
from vireid_jax import mesh as mesh_lib
from vireid_jax.durations import Clock

STEPS_PER_EPOCH = 100
HEAD = ("config", "images", "ms/step", "images/s", "GFLOP", "GB moved", "temporary GB", "compile s")


@dataclasses.dataclass
class Side:
  """One compiled step with its state and a batch of random images.

  Attributes:
    name: of the config.
    compiled: the step; it donates its state.
    state: of the run so far.
    batch: on the device.
    compile_seconds: that compiling took.
    seconds: per measured step.
  """

  name: str
  compiled: jax.stages.Compiled
  state: train_step.TrainState
  batch: dict
  compile_seconds: float
  seconds: list[float] = dataclasses.field(default_factory=list)

  def step(self) -> float:
    """Makes one step and returns its seconds."""
    started = time.perf_counter()
    self.state, scalars = self.compiled(self.state, self.batch)
    jax.block_until_ready((self.state, scalars))
    return time.perf_counter() - started

  def numbers(self) -> dict:
    """Returns what was measured; FLOPs, bytes and memory are the compiler's own estimates."""
    cost, memory = self.compiled.cost_analysis() or {}, self.compiled.memory_analysis()
    images = 2 * len(self.batch["label"])
    median = statistics.median(self.seconds)
    return {
      "images": images,
      "seconds": self.seconds,
      "images_per_second": images / median,
      "flops": cost.get("flops"),
      "bytes": cost.get("bytes accessed"),
      "temporary_bytes": getattr(memory, "temp_size_in_bytes", None),
      "compile_seconds": self.compile_seconds,
    }


def add_arguments(parser: argparse.ArgumentParser):
  """Adds the flags of the benchmark."""
  parser.add_argument("configs", nargs="+", help="config files, with :VARIANT behind them")
  parser.add_argument("--identities", type=int, default=395, help="classes; default SYSU-MM01's")
  parser.add_argument("--repeats", type=int, default=5, help="timed steps of each config")


def run(options: argparse.Namespace) -> dict:
  """Compiles every config's step, times them in turn, and prints a table.

  Returns:
    Numbers per config; see `Side.numbers`.
  """
  sides = [prepare(path, options.identities) for path in options.configs]
  for side in sides:
    side.step()  # the first one pays for pages and thread pools
  for _ in range(options.repeats):
    for side in sides:
      side.seconds.append(side.step())
  numbers = {side.name: side.numbers() for side in sides}
  print(_table(numbers))
  return {"device": str(jax.devices()[0].device_kind), "steps": numbers}


def prepare(path: str, identities: int) -> Side:
  """Builds and compiles the step of a config for random images, as `train` would."""
  config = config_file.load(path)
  pairs = config.sampler.identities * config.sampler.images
  clock = Clock(STEPS_PER_EPOCH, 2 * pairs)
  method = methods.create(config.method, num_classes=identities, steps_per_epoch=STEPS_PER_EPOCH)
  no_decay = getattr(method, "no_decay", ())
  optimizer = optim.create(
    config.optim, optim.make_schedule(config.optim, clock), no_decay=no_decay
  )
  config.init_from = ""
  mesh = mesh_lib.make_mesh()
  state = first_state.draw(config, method, optimizer, mesh)
  batch = mesh_lib.to_global(_random_batch(config, identities), mesh)
  augment, pair = train.make_augment(config), train.make_augment_pair(config)
  step = train_step.make_train_step(method, optimizer, augment, seed=0, augment_pair=pair)
  started = time.perf_counter()
  compiled = jax.jit(step, donate_argnums=0).lower(state, batch).compile()
  return Side(path, compiled, state, batch, time.perf_counter() - started)


def _random_batch(config, identities: int) -> dict[str, np.ndarray]:
  generator, (height, width) = np.random.default_rng(0), config.data.image_size
  people, images = config.sampler.identities, config.sampler.images
  shape = (people * images, height, width)
  batch = {
    name: generator.integers(0, 256, (*shape, 3), np.uint8) for name in ("visible", "infrared")
  }
  if config_lib.needs_masks(config):
    ones = np.full((*shape, 1), 255, np.uint8)
    batch |= {"visible_mask": ones, "infrared_mask": ones}
  labels = generator.choice(identities, people, replace=False)
  return {**batch, "label": np.repeat(labels, images).astype(np.int32)}


def _table(numbers: dict[str, dict]) -> str:
  rows = [HEAD, ("---", *("---:",) * (len(HEAD) - 1))]
  for name, found in numbers.items():
    median = statistics.median(found["seconds"])
    rows.append(
      (
        name,
        str(found["images"]),
        f"{1e3 * median:,.0f}",
        f"{found['images_per_second']:,.1f}",
        *(_in_giga(found[key]) for key in ("flops", "bytes", "temporary_bytes")),
        f"{found['compile_seconds']:.0f}",
      )
    )
  return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _in_giga(value: float | None) -> str:
  return "unknown" if value is None else f"{value / 1e9:,.2f}"
