"""A safe interpreter of pickles, which cannot run the code that they name.

With Python's unpickler a pickle may call any function, set attributes, or fill the memory from a
few bytes. Here the only objects are numbers, text, tuples, lists, dicts with text keys, `Global`
(two names that are never looked up), `OPAQUE`, and what the caller's functions return.
"""

import dataclasses
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

# A state dict of a thousand tensors takes 30,000 instructions. Each may create an object.
MOST_INSTRUCTIONS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Global:
  """A function or class that a pickle names. It is never looked up."""

  module: str
  name: str


class _Opaque:
  """Placeholder of an object that is not needed; operations on it do nothing."""

  __slots__ = ()


OPAQUE = _Opaque()


class Interpreter:
  """Interprets one pickle.

  Args:
    admit: Called with each global that is named; raises to refuse it.
    call: Returns the result of calling a global with a tuple of arguments.
    stored: Returns the object of a persistent id.
  """

  def __init__(
    self,
    admit: Callable[[Global], None],
    call: Callable[[Global, tuple], Any],
    stored: Callable[[Any], Any],
  ):
    self._admit, self._call, self._stored = admit, call, stored
    self._stack: list[Any] = []
    self._marks: list[int] = []
    self._memo: dict[int, Any] = {}

  def run(self, file: BinaryIO) -> Any:
    """Reads to the end of the pickle and returns its object.

    Args:
      file: File at the pickle's first byte; its `read` must be bounded by the file's size.

    Raises:
      ValueError: The pickle is damaged, or has an unknown instruction or too many.
      Exception: Whatever the three functions raise.
    """
    for number, (instruction, argument, _) in enumerate(pickletools.genops(file)):
      if number >= MOST_INSTRUCTIONS:
        raise ValueError(f"more than {MOST_INSTRUCTIONS:,} instructions")
      if instruction.name == "STOP":
        return self._pop()
      if instruction.name in _VALUES:
        self._stack.append(argument)
      elif instruction.name in _INSTRUCTIONS:
        _INSTRUCTIONS[instruction.name](self, argument)
      else:
        raise ValueError(f"weights do not need the instruction {instruction.name}")
    raise ValueError("it ends early")

  def _pop(self) -> Any:
    if len(self._stack) <= (self._marks[-1] if self._marks else 0):
      raise ValueError("it pops from an empty stack")
    return self._stack.pop()

  def _top(self) -> Any:
    value = self._pop()
    self._stack.append(value)
    return value

  def _mark(self, _) -> None:
    self._marks.append(len(self._stack))

  def _since_mark(self) -> list:
    start = self._marks.pop()
    values = self._stack[start:]
    del self._stack[start:]
    return values

  def _discard(self, _) -> None:
    if self._marks and self._marks[-1] == len(self._stack):
      self._marks.pop()
    else:
      self._pop()

  def _discard_since_mark(self, _) -> None:
    self._since_mark()

  def _push(self, value: Any) -> None:
    self._stack.append(value)

  def _frozenset(self, _) -> None:
    self._since_mark()
    self._push(OPAQUE)

  def _tuple(self, count: int) -> None:
    values = [self._pop() for _ in range(count)]
    self._push(tuple(reversed(values)))

  def _dict(self, _) -> None:
    values = self._since_mark()
    self._stack.append({})
    self._set(values)

  def _set(self, values: list) -> None:
    """Sets items of the dict on top of the stack; ignores keys that are not text."""
    target = self._top()
    if len(values) % 2 or not isinstance(target, dict | _Opaque):
      raise ValueError("it sets items of something other than a dict")
    if isinstance(target, dict):
      pairs = zip(values[::2], values[1::2], strict=True)
      target.update((key, value) for key, value in pairs if isinstance(key, str))

  def _append(self, values: list) -> None:
    target = self._top()
    if not isinstance(target, list | _Opaque):
      raise ValueError("it appends to something other than a list")
    if isinstance(target, list):
      target.extend(values)

  def _remember(self, index: int | None) -> None:
    self._memo[len(self._memo) if index is None else index] = self._top()

  def _recall(self, index: int) -> None:
    self._stack.append(self._memo[index])

  def _global(self, name: str) -> None:
    self._name(*name.split(" ", 1))

  def _stack_global(self, _) -> None:
    name, module = self._pop(), self._pop()
    self._name(module, name)

  def _name(self, module: Any, name: Any = "") -> None:
    if not isinstance(module, str) or not isinstance(name, str):
      raise ValueError("it names a global with something other than text")
    self._admit(Global(module, name))
    self._stack.append(Global(module, name))

  def _make(self, target: Any, arguments: Any) -> None:
    if not isinstance(target, Global) or not isinstance(arguments, tuple):
      raise ValueError("it calls something other than a function")
    self._stack.append(self._call(target, arguments))

  def _reduce(self, _) -> None:
    arguments, target = self._pop(), self._pop()
    self._make(target, arguments)

  def _new(self, _) -> None:
    self._pop()  # keyword arguments
    self._reduce(_)

  def _object(self, _) -> None:
    target, *arguments = self._since_mark()
    self._make(target, tuple(arguments))

  def _instance(self, name: str) -> None:
    arguments = tuple(self._since_mark())
    self._global(name)
    self._make(self._pop(), arguments)

  def _build(self, _) -> None:
    """Discards an object's attributes, such as the versions in a state dict."""
    self._pop()
    if not isinstance(self._top(), dict | _Opaque):
      raise ValueError("it sets attributes of something that has none")

  def _persistent(self, _) -> None:
    self._stack.append(self._stored(self._pop()))


# Instructions that push their argument.
_VALUES = {
  "INT",
  "BININT",
  "BININT1",
  "BININT2",
  "LONG",
  "LONG1",
  "LONG4",
  "FLOAT",
  "BINFLOAT",
  "STRING",
  "BINSTRING",
  "SHORT_BINSTRING",
  "UNICODE",
  "BINUNICODE",
  "SHORT_BINUNICODE",
  "BINUNICODE8",
  "BINBYTES",
  "SHORT_BINBYTES",
  "BINBYTES8",
  "BYTEARRAY8",
}
_INSTRUCTIONS: dict[str, Callable[[Interpreter, Any], None]] = {
  "PROTO": lambda self, _: None,
  "FRAME": lambda self, _: None,
  "NONE": lambda self, _: self._push(None),
  "NEWTRUE": lambda self, _: self._push(True),
  "NEWFALSE": lambda self, _: self._push(False),
  "MARK": Interpreter._mark,
  "POP": Interpreter._discard,
  "POP_MARK": Interpreter._discard_since_mark,
  "DUP": lambda self, _: self._push(self._top()),
  "EMPTY_TUPLE": lambda self, _: self._tuple(0),
  "TUPLE1": lambda self, _: self._tuple(1),
  "TUPLE2": lambda self, _: self._tuple(2),
  "TUPLE3": lambda self, _: self._tuple(3),
  "TUPLE": lambda self, _: self._push(tuple(self._since_mark())),
  "EMPTY_LIST": lambda self, _: self._push([]),
  "LIST": lambda self, _: self._push(self._since_mark()),
  "APPEND": lambda self, _: self._append([self._pop()]),
  "APPENDS": lambda self, _: self._append(self._since_mark()),
  "EMPTY_DICT": lambda self, _: self._push({}),
  "DICT": Interpreter._dict,
  "SETITEM": lambda self, _: self._set([self._pop(), self._pop()][::-1]),
  "SETITEMS": lambda self, _: self._set(self._since_mark()),
  "EMPTY_SET": lambda self, _: self._push(OPAQUE),
  "FROZENSET": Interpreter._frozenset,
  "ADDITEMS": lambda self, _: self._append(self._since_mark()),
  "PUT": Interpreter._remember,
  "BINPUT": Interpreter._remember,
  "LONG_BINPUT": Interpreter._remember,
  "MEMOIZE": Interpreter._remember,
  "GET": Interpreter._recall,
  "BINGET": Interpreter._recall,
  "LONG_BINGET": Interpreter._recall,
  "GLOBAL": Interpreter._global,
  "STACK_GLOBAL": Interpreter._stack_global,
  "REDUCE": Interpreter._reduce,
  "NEWOBJ": Interpreter._reduce,
  "NEWOBJ_EX": Interpreter._new,
  "OBJ": Interpreter._object,
  "INST": Interpreter._instance,
  "BUILD": Interpreter._build,
  "BINPERSID": Interpreter._persistent,
}
