"""The authors' models as the reference numbers were made: weights drawn from each tensor's name."""

import json
import pathlib
import zlib

import numpy as np

from vireid_jax import methods
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics
from vireid_jax.training import first_state

FOLDER = pathlib.Path(__file__).parent / "golden"
CLASSES = 10


def load(name):
  """Returns a file of reference numbers."""
  return np.load(FOLDER / f"{name}.npz")


def shapes(name):
  """Returns {tensor name: shape} of an official model with ten classes."""
  return json.loads((FOLDER / f"{name}_state_dict_shapes.json").read_text())


def draw(name, shape):
  """Draws a tensor as the reference numbers' recipe says."""
  generator = np.random.default_rng(zlib.crc32(name.encode()))
  if name.endswith("num_batches_tracked"):
    return np.zeros((), np.int64)
  if name.endswith("running_mean"):
    values = generator.normal(0, 0.1, shape)
  elif name.endswith("running_var"):
    values = generator.uniform(0.5, 1.5, shape)
  elif len(shape) == 1 and name.endswith("weight"):
    values = generator.uniform(0.5, 1.0, shape)
  elif len(shape) == 1:
    values = generator.normal(0, 0.05, shape)
  else:
    values = generator.normal(0, (1 / np.prod(shape[1:])) ** 0.5, shape)
  return np.asarray(values, np.float32)


def state_dict(name, reference=None, resized=None):
  """Returns an official model's drawn tensors.

  Args:
    name: of the model.
    reference: a file that may name tensors to multiply by a factor, in float64, before step 1.
    resized: tensors of another shape, for images of another size: name -> shape.
  """
  all_shapes = shapes(name) | (resized or {})
  tensors = {key: draw(key, tuple(shape)) for key, shape in all_shapes.items()}
  if reference is not None and "scaled_names" in reference:
    for key, scale in zip(reference["scaled_names"], reference["scales"], strict=True):
      tensors[str(key)] = tensors[str(key)].astype(np.float64) * scale
  return tensors


def abstract(method, size=(64, 32)):
  """Returns the shapes of a method's variables, for images of a size."""
  return first_state.abstract_variables(size, 0, method)


def official(
  name,
  dtype,
  conv_impl="auto",
  *,
  model="",
  reference=None,
  as_published=True,
  size=(64, 32),
  resized=None,
  **options,
):
  """Returns a method and its variables, filled from the official names by the importer.

  Args:
    name: of the method.
    dtype: of its network.
    conv_impl: how the network computes convolutions.
    model: of which official model; that of the method's name by default.
    reference: see `state_dict`.
    as_published: overwrite what the published code overwrites when it loads a file.
    size: of the images, for networks that depend on it.
    resized: see `state_dict`.
    **options: of the method.
  """
  numerics = Numerics(dtype, conv_impl, unbiased_variance=True)
  method = methods.create(
    {"name": name, **options}, num_classes=CLASSES, steps_per_epoch=5, numerics=numerics
  )
  table = convert.name_table(name)
  variables, ignored = convert.import_weights(
    abstract(method, size),
    state_dict(model or name, reference, resized),
    table,
    as_published=as_published,
  )
  return method, variables, ignored


def images(array, dtype):
  """Turns the references' [n, c, h, w] into our [n, h, w, c]."""
  return array.transpose(0, 2, 3, 1).astype(dtype)


def pair_batches(reference, dtype):
  """Yields the training batches of a reference that stores images in pairs."""
  columns = ("visible_nchw", "thermal_nchw", "labels")
  for visible, infrared, labels in zip(*(reference[name] for name in columns), strict=True):
    yield {
      "visible": images(visible, dtype),
      "infrared": images(infrared, dtype),
      "label": labels.astype(np.int32),
    }


def unit(features):
  """L2-normalises rows."""
  return features / np.linalg.norm(features, axis=1, keepdims=True)
