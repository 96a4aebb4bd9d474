"""Between two log lines the training loop neither compiles, nor transfers, nor runs far ahead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import config as toy_config

from vireid_jax.data.training import placement
from vireid_jax.experiment import train
from vireid_jax.experiment.evaluation_schedule import Evaluations
from vireid_jax.experiment.recorder import Recorder
from vireid_jax.runtime import compilation

STEPS, LOG = 12, 4
COMPILED = "/jax/core/compile/backend_compile_duration"


class Observed:
  """Counts, per step of the loop, programs compiled and arrays read from the device.

  Attributes:
    compiled, read: step -> how often, from the call of that step to the call of the next one.
    steps: called so far.
  """

  def __init__(self, monkeypatch):
    self.compiled, self.read, self.steps = {}, {}, 0
    array, call = type(jnp.zeros(1)), compilation.CompiledStep.__call__
    value = array._value  # where float(), bool() and device_get() end

    def read(x):
      self._count(self.read)
      return value.fget(x)

    def step(compiled_step, *arguments):
      self.steps += 1
      return call(compiled_step, *arguments)

    monkeypatch.setattr(array, "_value", property(read))
    monkeypatch.setattr(compilation.CompiledStep, "__call__", step)
    jax.monitoring.register_event_duration_secs_listener(self._listen)

  def _listen(self, event: str, *_, **__) -> None:
    if event == COMPILED:
      self._count(self.compiled)

  def _count(self, events: dict[int, int]) -> None:
    events[self.steps] = events.get(self.steps, 0) + 1


@pytest.fixture
def observed(monkeypatch):
  """Observes; the listener outlives the test, as JAX offers no public way to take one back."""
  return Observed(monkeypatch)


@pytest.fixture
def guarded():
  """Refuses implicit transfers in all threads, those that load batches included."""
  yield lambda: jax.config.update("jax_transfer_guard", "disallow")
  jax.config.update("jax_transfer_guard", None)


def test_what_is_counted_and_refused_here_does_happen(observed, guarded):
  x = jax.device_put(np.arange(3.0))
  float(x.sum())
  jax.device_get(x)
  assert observed.read == {0: 2}
  before = observed.compiled.get(0, 0)
  jax.jit(lambda x: x * 3 + 4)(x)
  assert observed.compiled[0] == before + 1
  guarded()
  with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
    jax.jit(jnp.sin)(np.zeros(3, np.float32))


@pytest.mark.parametrize("place", [placement.DEVICE, placement.HOST])
def test_steady_loop(place, data_dir, tmp_path, observed, guarded, monkeypatch):
  config = toy_config.make(data_dir, steps=STEPS, save=STEPS, log=LOG)
  config.data.placement = place
  monkeypatch.setattr(train, "_save", lambda *_: None)
  run = train.build(config, tmp_path)
  state = train._initial_state(run)
  recorder = Recorder(run)
  guarded()
  train._loop(run, state, recorder, Evaluations(run, recorder))
  run.checkpoints.close()
  assert observed.steps == STEPS and observed.compiled[0] > 0
  lines = set(range(LOG, STEPS + 1, LOG))
  assert {step for step in observed.read if step > 0} == lines
  # The learning rate for the first line; the step itself before it was first called.
  assert {step for step in observed.compiled if step > 0} == {LOG}


def test_at_most_two_steps_are_in_flight(data_dir, tmp_path, monkeypatch):
  given, waited = [], []
  call, wait = compilation.CompiledStep.__call__, jax.block_until_ready

  def step(compiled_step, *arguments):
    assert len(waited) == max(len(given) - 1, 0)
    state, watch, scalars = call(compiled_step, *arguments)
    given.append(scalars)
    return state, watch, scalars

  monkeypatch.setattr(compilation.CompiledStep, "__call__", step)
  monkeypatch.setattr(jax, "block_until_ready", lambda x: (waited.append(x), wait(x))[1])
  train.train(toy_config.make(data_dir, steps=STEPS, save=STEPS, log=STEPS), tmp_path)
  assert len(given) == STEPS
  assert all(one is other for one, other in zip(waited, given, strict=False))
