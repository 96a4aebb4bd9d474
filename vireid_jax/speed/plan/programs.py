"""The programs that can be planned, lowered for devices that need not exist."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vireid_jax.common.records import MODALITIES
from vireid_jax.config import parts
from vireid_jax.evaluators import embed, reranking_dense
from vireid_jax.methods.base import Method
from vireid_jax.models.numerics import PORTABLE
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.speed import setting
from vireid_jax.training import first_state

# SYSU-MM01's all-search, multi-shot: the largest task of its protocol.
QUERIES, GALLERY = 3_803, 3_010
FEWEST_IMAGES = 16  # of a training step on a device of a slice, if its config has too few


@dataclasses.dataclass(frozen=True)
class Program:
  """A lowered program.

  Attributes:
    lowered: What to compile.
    images: Number of images that one call works on, or queries.
    scaled: The config's own number of images, if the program works on more; else None.
    donated_bytes: Of the arguments whose memory the results may take.
    image_rows: Pairs of images on a device and the bytes of their uint8 pixels of one modality, if
      the program trains; else None.
  """

  lowered: jax.stages.Lowered
  images: int
  scaled: int | None = None
  donated_bytes: int = 0
  image_rows: tuple[int, int] | None = None


def lower(what: str, config: ConfigDict, mesh: Mesh, classes: int) -> Program:
  """Lowers a program of a config.

  Args:
    what: One of `PROGRAMS`.
    config: Config of the run.
    mesh: Devices of the target.
    classes: Number of training identities.
  """
  with jax.set_mesh(mesh):
    return PROGRAMS[what](config, mesh, classes)


def flops(what: str, config: ConfigDict, classes: int) -> float:
  """Counts the operations of a call on all devices together, before compilation.

  Args:
    what, config, classes: As in `lower`, which has fitted the config's batch to the devices.
  """
  mesh = mesh_lib.make_mesh(jax.devices("cpu")[:1])
  lowered = lower(what, config.copy_and_resolve_references(), mesh, classes).lowered
  return lowered.cost_analysis()["flops"]


def fit_batch(config: ConfigDict, devices: int) -> int | None:
  """Enlarges the batch until it divides over the devices with enough images for each.

  Returns:
    The number of images before, or None if nothing was changed.
  """
  sampler, instances = config.sampler, config.sampler.num_instances
  before = sampler.num_identities * instances
  if before % devices == 0 and (devices == 1 or 2 * before >= FEWEST_IMAGES * devices):
    return None
  pairs = FEWEST_IMAGES // 2 * devices
  while pairs < before or pairs % instances or (pairs // instances) % config.train.accumulate:
    pairs += devices
  sampler.num_identities = pairs // instances
  return 2 * before


def _step(config: ConfigDict, mesh: Mesh, classes: int) -> Program:
  scaled = fit_batch(config, mesh.size)
  classes = max(classes, config.sampler.num_identities)
  method = setting.create_method(config, classes)
  optimizer = setting.create_optimizer(config, method)
  state = first_state.abstract(config.data.image_size, config.seed, method, optimizer, mesh)
  batch = _batch(config, mesh)
  step = parts.build_step(config, method, optimizer)
  jitted = jax.jit(step, donate_argnums=0, out_shardings=_all(mesh))
  pairs = batch["label"].size
  return Program(
    jitted.lower(state, batch),
    2 * pairs,
    scaled,
    donated_bytes=_bytes(state),
    image_rows=(pairs // mesh.size, _bytes(batch["infrared"]) // mesh.size),
  )


def _batch(config: ConfigDict, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns the shapes of a training batch, split by rows."""
  pairs = config.sampler.num_identities * config.sampler.num_instances
  two = config.copy_and_resolve_references()
  two.sampler.num_identities = 2
  rows = setting.random_batch(two, 2)
  by_rows = mesh_lib.by_rows(mesh)
  return {name: _array((pairs, *x.shape[1:]), x.dtype, by_rows) for name, x in rows.items()}


def _embed(config: ConfigDict, mesh: Mesh, classes: int) -> Program:
  method = setting.create_method(config, classes)
  count = -(-config.eval.batch // mesh.size) * mesh.size
  images = _array((count, *config.data.image_size, 3), jnp.uint8, mesh_lib.by_rows(mesh))
  function = embed.jitted(
    embed.feature_methods(method, config.eval.features),
    MODALITIES[0],
    config.augment[MODALITIES[0]],
    mesh,
    flip=config.eval.flip,
  )
  return Program(function.lower(_variables(config, method, mesh), images), count)


def _export(config: ConfigDict, mesh: Mesh, classes: int) -> Program:
  """The function that `vireid export` writes: float32, on one device."""
  config.numerics.update(PORTABLE)
  method = setting.create_method(config, classes)
  images = _array((config.eval.batch, *config.data.image_size, 3), jnp.uint8, _all(mesh))
  function = embed.retrieval_function(
    {"feature": method}, MODALITIES[0], config.augment[MODALITIES[0]]
  )
  with jax.default_matmul_precision("highest"):
    lowered = jax.jit(function).lower(_variables(config, method, mesh), images)
  return Program(lowered, config.eval.batch)


def _rank(config: ConfigDict, mesh: Mesh, classes: int) -> Program:
  """The product of SYSU-MM01's largest task, as evaluation computes it on an accelerator."""
  size = _feature_size(config, classes)
  query, gallery = (_array((n, size), jnp.float32, _all(mesh)) for n in (QUERIES, GALLERY))

  def rank(query, gallery):
    return jnp.matmul(query, gallery.T, precision=jax.lax.Precision.HIGHEST)

  return Program(jax.jit(rank).lower(query, gallery), QUERIES)


def _rerank(config: ConfigDict, mesh: Mesh, classes: int) -> Program:
  del classes
  count, options = QUERIES + GALLERY, config.eval.rerank_options
  distances = _array((count, count), jnp.float32, _all(mesh))
  lowered = reranking_dense.lower(distances, QUERIES, **options)
  return Program(lowered, QUERIES)


PROGRAMS: dict[str, Callable[[ConfigDict, Mesh, int], Program]] = {
  "step": _step,
  "embed": _embed,
  "export": _export,
  "rank": _rank,
  "rerank": _rerank,
}


def _array(shape, dtype, sharding) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)


def _bytes(tree) -> int:
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _all(mesh: Mesh):
  return mesh_lib.replicated(mesh)


def _variables(config: ConfigDict, method: Method, mesh: Mesh):
  shapes = first_state.abstract_variables(config.data.image_size, config.seed, method)
  return jax.tree.map(lambda x: _array(x.shape, x.dtype, _all(mesh)), shapes)


def _feature_size(config: ConfigDict, classes: int) -> int:
  method = setting.create_method(config, classes)
  variables = first_state.abstract_variables(config.data.image_size, config.seed, method)
  images = jax.ShapeDtypeStruct((1, *config.data.image_size, 3), jnp.float32)
  feature = jax.eval_shape(lambda v, x: method.embed(v, x, MODALITIES[0]), variables, images)
  return feature.shape[-1]
