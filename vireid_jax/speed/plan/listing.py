"""What the text of a compiled program shows: collectives, cycles, and what should not be there."""

import collections
import re

COLLECTIVES = (
  "all-reduce",
  "all-gather",
  "reduce-scatter",
  "all-to-all",
  "ragged-all-to-all",
  "collective-permute",
  "collective-broadcast",
)
HOST = ("infeed", "outfeed", "send", "recv")
_BYTES = {"pred": 1, "bf16": 2, "f16": 2, "f32": 4, "f64": 8}
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?[\w.-]+ = (\(.*?\)|\S+) ([a-z][a-z0-9-]*)\(")
_ARRAY = re.compile(r"\b([a-z]+[0-9]*[a-z0-9]*)\[([0-9,]*)\]")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')


def collectives(text: str) -> dict[str, dict[str, int]]:
  """Counts a program's collectives.

  Args:
    text: `Compiled.as_text()`. A loop's body counts once.

  Returns:
    {kind: {'count', 'bytes'}}, for the kinds that occur; bytes of the results on a device.
  """
  found = collections.defaultdict(lambda: {"count": 0, "bytes": 0})
  for shape, operation in instructions(text):
    kind = operation.removesuffix("-start")
    if kind in COLLECTIVES:
      found[kind]["count"] += 1
      found[kind]["bytes"] += _received(shape, kind, started=operation != kind)
  return dict(found)


def sent(kind: str, received: int, devices: int) -> float:
  """Returns the bytes that a device sends in a ring for a collective.

  Args:
    kind: One of `COLLECTIVES`.
    received: Bytes of the result on a device.
    devices: Number of devices in the ring.
  """
  others = (devices - 1) / devices
  return {"all-reduce": 2, "reduce-scatter": devices}.get(kind, 1) * others * received


def host_transfers(text: str) -> int:
  """Counts instructions that exchange data with the host."""
  return sum(operation.removesuffix("-done") in HOST for _, operation in instructions(text))


def estimated_cycles(text: str) -> int | None:
  """Returns the sum of the cycles that the TPU compiler expects; None in other programs."""
  found = _CYCLES.findall(text)
  return sum(map(int, found)) if found else None


def instructions(text: str):
  """Yields (shape, operation) of every instruction of all computations."""
  for line in text.splitlines():
    match = _INSTRUCTION.match(line)
    if match:
      yield match.groups()


def size(shape: str) -> int:
  """Returns the bytes of a shape, such as 'f32[8,128]{1,0}' or a tuple of such."""
  return sum(map(_array_bytes, _ARRAY.findall(shape)))


def _array_bytes(array: tuple[str, str]) -> int:
  kind, dimensions = array
  count = 1
  for dimension in filter(None, dimensions.split(",")):
    count *= int(dimension)
  digits = re.search(r"\d+", kind)
  width = _BYTES.get(kind) or (max(int(digits[0]) // 8, 1) if digits else 0)
  return count * width


def _received(shape: str, kind: str, *, started: bool) -> int:
  """Returns the bytes of a collective's result.

  A started one that changes the shape lists its operands before its results.
  """
  arrays = [_array_bytes(array) for array in _ARRAY.findall(shape)]
  if started and kind != "all-reduce" and len(arrays) > 1:
    arrays = arrays[len(arrays) // 2 :] if len(arrays) % 2 == 0 else arrays[1:]
  return sum(arrays)
