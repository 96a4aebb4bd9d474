"""A retrieval function as an ONNX model, written from the operations that JAX traces.

jax2onnx 0.17.1 was tried and is not used: it needs an Orbax older than ours, and traces no ResNet
of this package, because its replacement of flax's max_pool takes no positional window ("TypeError:
patched_max_pool() takes 1 positional argument but 2 positional arguments were given"). The networks
are traced to some 30 kinds of operations, which `onnx_ops` translates.
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
import onnx
from jax.extend import core

from vireid_jax.common.errors import UserError
from vireid_jax.retrieval import onnx_ops
from vireid_jax.retrieval.onnx_graph import IMAGES, Graph, Value

INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters that hold the equations of a call


def convert(
  function: Callable,
  weights: Sequence[np.ndarray],
  image_size: Sequence[int],
  *,
  method: str,
  notes: dict[str, str],
) -> onnx.ModelProto:
  """Converts (weights, uint8 [n, h, w, 3]) -> float32 [n, d] to a model of the images only.

  Args:
    function: Pure function in float32.
    weights: Its first argument, all of it used, which becomes constants of the model.
    image_size: (height, width).
    method: Name of the method, for messages.
    notes: Texts by name, kept as metadata.

  Raises:
    UserError: ONNX has no operator for an operation.
  """
  (count,) = jax.export.symbolic_shape("n")
  shape = (*image_size, 3)
  images = jax.ShapeDtypeStruct((count, *shape), np.uint8)
  shapes = [jax.ShapeDtypeStruct(weight.shape, weight.dtype) for weight in weights]
  traced = jax.make_jaxpr(function)(shapes, images)
  graph = Graph()
  names = [graph.named(np.asarray(weight)) for weight in weights]
  try:
    (output,) = _write(graph, traced.jaxpr, traced.consts, [*names, IMAGES])
  except onnx_ops.Unsupported as error:
    raise UserError(
      f"method {method!r} cannot be exported to ONNX: no operator is known for {error}; export "
      "without --onnx"
    ) from error
  return graph.model(graph.named(output), shape, traced.out_avals[0].shape[1], notes)


def _write(graph: Graph, jaxpr, constants: Sequence, inputs: Sequence[Value]) -> list[Value]:
  """Writes the equations of a function, and those of the functions it calls."""
  known = dict(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
  known |= dict(zip(jaxpr.invars, inputs, strict=True))

  def read(variable) -> Value:
    if isinstance(variable, core.Literal):
      return np.asarray(variable.val, variable.aval.dtype)
    return known[variable]

  for equation in jaxpr.eqns:
    given = [read(variable) for variable in equation.invars]
    called = next((equation.params[name] for name in INNER if name in equation.params), None)
    if called is not None:
      inner = getattr(called, "jaxpr", called)
      found = _write(graph, inner, getattr(called, "consts", ()), given)
    elif not any(isinstance(value, str) for value in given) and _is_fixed(equation):
      found = equation.primitive.bind(*given, **equation.params)  # such as an index
      found = [np.asarray(x) for x in (found if equation.primitive.multiple_results else [found])]
    else:
      found = onnx_ops.write(graph, equation, given)
    known |= dict(zip(equation.outvars, found, strict=True))
  return [read(variable) for variable in jaxpr.outvars]


def _is_fixed(equation) -> bool:
  """Returns whether no size of the outputs depends on the number of images."""
  shapes = [variable.aval.shape for variable in equation.outvars]
  return all(isinstance(size, int) for shape in shapes for size in shape)
