"""What the text of a compiled program shows: its instructions, collectives and cycles."""

import collections
import re
from collections.abc import Iterator
from typing import NamedTuple

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
_INSTRUCTION = re.compile(
  r"^\s*(?:ROOT )?%?([\w.-]+) = (\(.*?\)|\S+) ([a-z][a-z0-9-]*)\(([^)]*)\)?(.*)"
)
_ARRAY = re.compile(r"\b([a-z]+[0-9]*[a-z0-9]*)\[([0-9,]*)\]")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_OPERAND = re.compile(r"%?([\w.-]+)(?:,|$)")
_SOURCE = re.compile(r'op_name="((?:[^"\\]|\\.)*)"')
_CHANNEL = re.compile(r"\bchannel_id=(\d+)")


class Instruction(NamedTuple):
  """An instruction of a compiled program.

  Attributes:
    name: Its name, unique in the program.
    shape: Of its result, such as 'f32[8,128]{1,0}' or a tuple of such.
    operation: Such as 'fusion' or 'all-reduce-start'.
    operands: Names of its operands.
    attributes: The rest of its line.
  """

  name: str
  shape: str
  operation: str
  operands: tuple[str, ...]
  attributes: str

  @property
  def source(self) -> str:
    """The operation of the traced program that it comes from, or ''."""
    found = _SOURCE.search(self.attributes)
    return found[1] if found else ""

  @property
  def cycles(self) -> int | None:
    """Cycles that the TPU compiler expects it to take, or None."""
    return estimated_cycles(self.attributes)


def collectives(text: str) -> dict[str, dict[str, int]]:
  """Counts a program's collectives.

  Args:
    text: `Compiled.as_text()`. A loop's body counts once.

  Returns:
    {kind: {'count', 'bytes'}}, for the kinds that occur; bytes of the results on a device.
  """
  found = collections.defaultdict(lambda: {"count": 0, "bytes": 0})
  for kind, each in each_collective(text):
    found[kind]["count"] += 1
    found[kind]["bytes"] += _received(each.shape, kind, started=each.operation != kind)
  return dict(found)


def each_collective(text: str) -> Iterator[tuple[str, Instruction]]:
  """Yields (kind, instruction) of every collective.

  The TPU compiler spreads a collective over several fusions, between which others compute, and
  repeats the instruction in each of them with the same channel; it is sent, and yielded, once.
  """
  seen = set()
  for each in instructions(text):
    kind = each.operation.removesuffix("-start")
    if kind not in COLLECTIVES:
      continue
    channel = _CHANNEL.search(each.attributes)
    key = (kind, channel[1]) if channel else each.name
    if key not in seen:
      seen.add(key)
      yield kind, each


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
  return sum(each.operation.removesuffix("-done") in HOST for each in instructions(text))


def estimated_cycles(text: str) -> int | None:
  """Returns the sum of the cycles that the TPU compiler expects; None in other programs."""
  found = _CYCLES.findall(text)
  return sum(map(int, found)) if found else None


def instructions(text: str) -> Iterator[Instruction]:
  """Yields every instruction of all computations."""
  for line in text.splitlines():
    match = _INSTRUCTION.match(line)
    if match:
      name, shape, operation, operands, attributes = match.groups()
      yield Instruction(name, shape, operation, tuple(_OPERAND.findall(operands)), attributes)


def entry(text: str) -> str:
  """Returns the text of the computation in which a program begins."""
  _, found, rest = text.partition("\nENTRY ")
  return found + rest.partition("\n}")[0]


def size(shape: str) -> int:
  """Returns the bytes of a shape, such as 'f32[8,128]{1,0}' or a tuple of such."""
  return sum(map(_array_bytes, _ARRAY.findall(shape)))


def arrays(shape: str) -> list[tuple[str, tuple[int, ...]]]:
  """Returns (dtype, dimensions) of each array of a shape, such as ('f32', (8, 128))."""
  return [
    (kind, tuple(int(n) for n in dimensions.split(",") if n))
    for kind, dimensions in _ARRAY.findall(shape)
  ]


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
