"""The operations of a traced JAX function as ONNX operators, one function per kind.

Each takes the graph, the equation and its inputs, and returns its output. Inputs are names of
tensors, or NumPy arrays where the value is known.
"""

import math
import string
from collections.abc import Callable

import numpy as np
from onnx import helper

from vireid_jax.retrieval.onnx_graph import Graph, Value

TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
# Operations that an ONNX operator computes alike, also between sizes n and 1.
SAME = {
  "abs": "Abs",
  "add": "Add",
  "and": "And",
  "div": "Div",
  "eq": "Equal",
  "erf": "Erf",
  "exp": "Exp",
  "ge": "GreaterOrEqual",
  "gt": "Greater",
  "le": "LessOrEqual",
  "log": "Log",
  "logistic": "Sigmoid",
  "lt": "Less",
  "max": "Max",
  "min": "Min",
  "mul": "Mul",
  "neg": "Neg",
  "not": "Not",
  "or": "Or",
  "pow": "Pow",
  "sign": "Sign",
  "sqrt": "Sqrt",
  "sub": "Sub",
  "tanh": "Tanh",
}
REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}
NOTHING = ("copy", "copy_p", "optimization_barrier", "stop_gradient", "sharding_constraint")


class Unsupported(Exception):
  """An operation that cannot be written; the message says which."""


def element_type(dtype) -> int:
  """Returns ONNX's number of a NumPy dtype."""
  return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _shape(equation):
  return equation.outvars[0].aval.shape


def _rsqrt(graph: Graph, equation, x: Value) -> str:
  return graph.add("Reciprocal", graph.add("Sqrt", x))


def _square(graph: Graph, equation, x: Value) -> str:
  return graph.add("Mul", x, x)


def _erfc(graph: Graph, equation, x: Value) -> str:
  one = np.ones((), equation.outvars[0].aval.dtype)
  return graph.add("Sub", one, graph.add("Erf", x))


def _integer_power(graph: Graph, equation, x: Value) -> str:
  return graph.add("Pow", x, np.array(equation.params["y"], equation.outvars[0].aval.dtype))


def _not_equal(graph: Graph, equation, x: Value, y: Value) -> str:
  return graph.add("Not", graph.add("Equal", x, y))


def _clamp(graph: Graph, equation, low: Value, x: Value, high: Value) -> str:
  return graph.add("Min", graph.add("Max", x, low), high)


def _select(graph: Graph, equation, which: Value, *cases: Value) -> str:
  if len(cases) != 2 or equation.invars[0].aval.dtype != bool:
    raise Unsupported("a choice among more than two arrays")
  return graph.add("Where", which, cases[1], cases[0])


def _convert(graph: Graph, equation, x: Value) -> str:
  return graph.add("Cast", x, to=element_type(equation.params["new_dtype"]))


def _reshape(graph: Graph, equation, x: Value) -> str:
  return graph.reshape(x, _shape(equation))


def _broadcast(graph: Graph, equation, x: Value) -> str:
  shape, places = equation.params["shape"], equation.params["broadcast_dimensions"]
  source = equation.invars[0].aval.shape
  sizes = [1] * len(shape)
  for place, size in zip(places, source, strict=True):
    sizes[place] = size
  if len(source) != len(shape):
    x = graph.reshape(x, sizes)
  same = all(str(a) == str(b) for a, b in zip(sizes, shape, strict=True))
  return graph.add("Identity", x) if same else graph.expand(x, shape)


def _iota(graph: Graph, equation) -> str:
  dimension, shape = equation.params["dimension"], equation.params["shape"]
  sizes = [1] * len(shape)
  sizes[dimension] = int(shape[dimension])
  counted = np.arange(sizes[dimension], dtype=equation.params["dtype"]).reshape(sizes)
  return graph.expand(counted, shape)


def _transpose(graph: Graph, equation, x: Value) -> str:
  return graph.add("Transpose", x, perm=[int(axis) for axis in equation.params["permutation"]])


def _concatenate(graph: Graph, equation, *parts: Value) -> str:
  return graph.add("Concat", *parts, axis=equation.params["dimension"])


def _stack(graph: Graph, equation, *parts: Value) -> str:
  axis = equation.params["axis"]
  axes = np.array([axis], np.int64)
  return graph.add("Concat", *(graph.add("Unsqueeze", x, axes) for x in parts), axis=axis)


def _split(graph: Graph, equation, x: Value) -> list[str]:
  sizes = np.array([int(size) for size in equation.params["sizes"]], np.int64)
  found = graph.add("Split", x, sizes, outputs=len(sizes), axis=equation.params["axis"])
  return [found] if len(sizes) == 1 else found


def _slice(graph: Graph, equation, x: Value) -> str:
  settings, axes = equation.params, []
  for axis, size in enumerate(equation.invars[0].aval.shape):
    step = 1 if settings["strides"] is None else settings["strides"][axis]
    start, limit = settings["start_indices"][axis], settings["limit_indices"][axis]
    if str(start) != "0" or str(limit) != str(size) or step != 1:
      axes.append((int(start), int(limit), axis, int(step)))
  columns = [np.array(column, np.int64) for column in zip(*axes, strict=True)]
  return graph.add("Slice", x, *columns) if axes else graph.add("Identity", x)


def _gather(graph: Graph, equation, x: Value, indices: Value) -> str:
  """Elements at known places, as indexing with numbers and ranges is traced."""
  numbers = equation.params["dimension_numbers"]
  if not isinstance(indices, str) and _are_points(equation, indices):
    return _points(graph, equation, x, indices)
  if isinstance(indices, str) or indices.ndim != 1 or numbers.operand_batching_dims:
    raise Unsupported("indexing with computed places")
  sizes, shape = equation.params["slice_sizes"], equation.invars[0].aval.shape
  axes = list(numbers.start_index_map)
  starts = [
    min(max(int(start), 0), int(shape[axis]) - int(sizes[axis]))
    for start, axis in zip(indices, axes, strict=True)
  ]
  ends = [start + int(sizes[axis]) for start, axis in zip(starts, axes, strict=True)]
  x = graph.add("Slice", x, *(np.array(column, np.int64) for column in (starts, ends, axes)))
  return graph.reshape(x, _shape(equation))


def _are_points(equation, indices: np.ndarray) -> bool:
  """Returns whether a gather takes whole slices at points [..., k] of k axes."""
  numbers, shape = equation.params["dimension_numbers"], equation.invars[0].aval.shape
  axes = numbers.start_index_map
  if indices.ndim < 2 or numbers.operand_batching_dims:
    return False
  if sorted(numbers.collapsed_slice_dims) != sorted(axes):
    return False
  taken = equation.params["slice_sizes"]
  whole = all(str(taken[i]) == str(size) for i, size in enumerate(shape) if i not in axes)
  sizes = [int(shape[axis]) for axis in axes]
  return whole and bool(((indices >= 0) & (indices < sizes)).all())


def _points(graph: Graph, equation, x: Value, indices: np.ndarray) -> str:
  """Makes one axis of the indexed ones, takes the points of it, and restores the order of axes."""
  numbers, shape = equation.params["dimension_numbers"], equation.invars[0].aval.shape
  axes, offsets = list(numbers.start_index_map), list(numbers.offset_dims)
  others = [axis for axis in range(len(shape)) if axis not in axes]
  sizes = [int(shape[axis]) for axis in axes]
  points = np.ravel_multi_index(tuple(np.moveaxis(indices, -1, 0)), sizes).astype(np.int64)
  x = graph.add("Transpose", x, perm=[*axes, *others])
  x = graph.reshape(x, [math.prod(sizes), *(shape[axis] for axis in others)])
  found = graph.add("Gather", x, points, axis=0)
  places = iter(range(points.ndim))
  order = [
    points.ndim + offsets.index(axis) if axis in offsets else next(places)
    for axis in range(len(_shape(equation)))
  ]
  return graph.add("Transpose", found, perm=order)


def _pad(graph: Graph, equation, x: Value, fill: Value) -> str:
  edges = equation.params["padding_config"]
  if any(inside or min(low, high) < 0 for low, high, inside in edges):
    raise Unsupported("padding between elements, or by less than nothing")
  sizes = [edge[side] for side in (0, 1) for edge in edges]
  return graph.add("Pad", x, np.array(sizes, np.int64), fill)


def _reduce(graph: Graph, equation, x: Value) -> str:
  axes = np.array(equation.params["axes"], np.int64)
  return graph.add(REDUCTIONS[equation.primitive.name], x, axes, keepdims=0)


def _argmax(graph: Graph, equation, x: Value) -> str:
  (axis,) = equation.params["axes"]
  found = graph.add("ArgMax", x, axis=axis, keepdims=0)
  return graph.add("Cast", found, to=element_type(equation.params["index_dtype"]))


def _product(graph: Graph, equation, x: Value, y: Value) -> str:
  """Any product of two arrays, as sums over shared letters."""
  (summed_x, summed_y), (shared_x, shared_y) = equation.params["dimension_numbers"]
  ranks = [len(variable.aval.shape) for variable in equation.invars]
  left = list(string.ascii_letters[: ranks[0]])
  right = list(string.ascii_letters[ranks[0] : sum(ranks)])
  for a, b in [*zip(shared_x, shared_y, strict=True), *zip(summed_x, summed_y, strict=True)]:
    right[b] = left[a]
  kept = [left[a] for a in shared_x]
  kept += [c for a, c in enumerate(left) if a not in (*shared_x, *summed_x)]
  kept += [c for b, c in enumerate(right) if b not in (*shared_y, *summed_y)]
  return graph.add("Einsum", x, y, equation=f"{''.join(left)},{''.join(right)}->{''.join(kept)}")


def _convolve(graph: Graph, equation, x: Value, kernel: Value) -> str:
  settings = equation.params
  numbers = settings["dimension_numbers"]
  plain = set(settings["lhs_dilation"]) == {1} and settings["batch_group_count"] == 1
  if not plain or len(numbers.lhs_spec) != 4:
    raise Unsupported("a transposed convolution")
  x = graph.add("Transpose", x, perm=list(numbers.lhs_spec))
  kernel = graph.add("Transpose", kernel, perm=list(numbers.rhs_spec))
  y = graph.add(
    "Conv",
    x,
    kernel,
    strides=list(settings["window_strides"]),
    dilations=list(settings["rhs_dilation"]),
    pads=[edge[side] for side in (0, 1) for edge in settings["padding"]],
    group=settings["feature_group_count"],
  )
  return graph.add("Transpose", y, perm=[int(axis) for axis in np.argsort(numbers.out_spec)])


def _max_pool(graph: Graph, equation, x: Value) -> str:
  settings = equation.params
  window, strides, edges = (
    list(settings[name]) for name in ("window_dimensions", "window_strides", "padding")
  )
  spread = {*settings["base_dilation"], *settings["window_dilation"]}
  if len(window) != 4 or window[0] != 1 or window[3] != 1 or spread != {1}:
    raise Unsupported("pooling over other axes than height and width")
  x = graph.add("Transpose", x, perm=TO_CHANNELS_FIRST)
  y = graph.add(
    "MaxPool",
    x,
    kernel_shape=window[1:3],
    strides=strides[1:3],
    pads=[edge[side] for side in (0, 1) for edge in edges[1:3]],
  )
  return graph.add("Transpose", y, perm=TO_CHANNELS_LAST)


OPERATIONS: dict[str, Callable] = {
  "argmax": _argmax,
  "broadcast_in_dim": _broadcast,
  "clamp": _clamp,
  "concatenate": _concatenate,
  "conv_general_dilated": _convolve,
  "convert_element_type": _convert,
  "dot_general": _product,
  "erfc": _erfc,
  "expand_dims": _reshape,
  "gather": _gather,
  "integer_pow": _integer_power,
  "iota": _iota,
  "ne": _not_equal,
  "pad": _pad,
  "reduce_window_max": _max_pool,
  "reshape": _reshape,
  "rsqrt": _rsqrt,
  "select_n": _select,
  "slice": _slice,
  "split": _split,
  "square": _square,
  "squeeze": _reshape,
  "stack": _stack,
  "transpose": _transpose,
  **dict.fromkeys(REDUCTIONS, _reduce),
}


def write(graph: Graph, equation, inputs: list[Value]) -> list[Value]:
  """Writes an equation and returns its outputs.

  Raises:
    Unsupported: No ONNX operator is known for it.
  """
  name = equation.primitive.name
  if name in NOTHING:
    return inputs
  if name in SAME:
    return [graph.add(SAME[name], *inputs)]
  if name not in OPERATIONS:
    raise Unsupported(f"the operation {name}")
  found = OPERATIONS[name](graph, equation, *inputs)
  return found if isinstance(found, list) else [found]
