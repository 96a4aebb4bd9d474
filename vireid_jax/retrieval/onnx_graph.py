"""A growing ONNX graph: tensors, constants, and shapes that depend on the number of images."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 18
IMAGES, FEATURES = "images", "features"

Value = str | np.ndarray  # a tensor's name, or a constant


class Graph:
  """Nodes and constants of a graph whose only input is a batch of images."""

  def __init__(self):
    """Starts an empty graph."""
    self.nodes: list[onnx.NodeProto] = []
    self.constants: list[onnx.TensorProto] = []
    self._known: dict[bytes, str] = {}
    self._count: str | None = None
    self._names = 0

  def add(self, operation: str, *inputs: Value, outputs: int = 1, **attributes):
    """Adds a node.

    Args:
      operation: Name of an ONNX operator.
      *inputs: Names of tensors, or constants.
      outputs: Number of outputs.
      **attributes: Attributes of the operator.

    Returns:
      Name of the output, or a list of several names.
    """
    names = [self._name() for _ in range(outputs)]
    given = [self.named(value) for value in inputs]
    self.nodes.append(helper.make_node(operation, given, names, **attributes))
    return names[0] if outputs == 1 else names

  def named(self, value: Value) -> str:
    """Returns the name of a tensor; a constant is stored, small equal ones once."""
    if isinstance(value, str):
      return value
    value = np.asarray(value)
    key = f"{value.dtype}{value.shape}".encode() + (value.tobytes() if value.size < 64 else b"")
    if value.size < 64 and key in self._known:
      return self._known[key]
    name = f"constant_{len(self.constants)}"
    self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    if value.size < 64:
      self._known[key] = name
    return name

  def reshape(self, value: Value, shape: Sequence) -> str:
    """Reshapes a tensor; at most one size of `shape` may depend on the number of images."""
    sizes = [size if isinstance(size, int) else -1 for size in map(_plain, shape)]
    return self.add("Reshape", value, np.array(sizes, np.int64))

  def expand(self, value: Value, shape: Sequence) -> str:
    """Broadcasts a tensor to a shape, whose sizes are whole numbers or the number of images."""
    sizes = [_plain(size) for size in shape]
    if all(isinstance(size, int) for size in sizes):
      return self.add("Expand", value, np.array(sizes, np.int64))
    pieces = [np.array([s], np.int64) if isinstance(s, int) else self._images() for s in sizes]
    return self.add("Expand", value, self.add("Concat", *pieces, axis=0))

  def _images(self) -> str:
    """Returns the tensor [1] with the number of images."""
    if self._count is None:
      self._count = self.add("Shape", IMAGES, start=0, end=1)
    return self._count

  def _name(self) -> str:
    self._names += 1
    return f"tensor_{self._names}"

  def model(
    self, output: str, image_shape: Sequence[int], size: int, notes: dict
  ) -> onnx.ModelProto:
    """Returns the checked model.

    Args:
      output: Tensor of the features.
      image_shape: (height, width, channels).
      size: Dimensions of a feature.
      notes: Texts by name, kept as metadata.
    """
    self.nodes.append(helper.make_node("Identity", [output], [FEATURES]))
    images = helper.make_tensor_value_info(IMAGES, onnx.TensorProto.UINT8, ["n", *image_shape])
    features = helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, ["n", size])
    graph = helper.make_graph(self.nodes, "retrieval", [images], [features], self.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    helper.set_model_props(made, notes)
    onnx.checker.check_model(made)
    return made


def _plain(size):
  """Returns a size as int, or as it is if it depends on the number of images."""
  try:
    return int(size)
  except Exception:  # JAX raises an error of its own for symbolic sizes
    return size
