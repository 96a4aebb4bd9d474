"""Random damage and random pickles: each file is read, or refused in one sentence.

The generators have fixed seeds. More is asked for with VIREID_FUZZ_ROUNDS, which multiplies the
cases.
"""

import io
import os
import pathlib
import pickletools
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch_pickles as torch
from safetensors import numpy as safetensors

from vireid_jax.common.errors import UserError
from vireid_jax.models import convert

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "torch"
ROUNDS = int(os.environ.get("VIREID_FUZZ_ROUNDS", "1"))
MOST_BYTES, MOST_SECONDS = 100e6, 10
# Text with stray backslashes is what a damaged pickle holds.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")


def outcome(path):
  """Returns the number of tensors, or 0 for a refusal; whatever else happens is a failure."""
  tracemalloc.start()
  started = time.process_time()
  try:
    return len(convert.load_weights(path))
  except UserError as error:
    assert str(error).isprintable()
    assert str(path) in str(error)
    return 0
  finally:
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_BYTES
    assert time.process_time() - started < MOST_SECONDS


def tally(path, contents):
  """Returns how many of the contents are read, and how many there are."""
  read = total = 0
  for content in contents:
    path.write_bytes(content)
    read += outcome(path) > 0
    total += 1
  return read, total


def damaged(content, generator):
  """Returns the content with a few bytes changed, lost, repeated or put in."""
  content = bytearray(content)
  for _ in range(generator.integers(1, 4)):
    start = int(generator.integers(len(content) + 1))
    length = int(generator.choice([1, 1, 2, 4, 8, 64, 1000]))
    noise = generator.integers(0, 256, length, np.uint8).tobytes()
    extreme = generator.choice([b"\xff", b"\x00", b"\x7f"]) * length
    piece = content[start : start + length]
    match generator.integers(6):
      case 0:
        content[start : start + length] = noise
      case 1:
        content[start : start + length] = extreme
      case 2:
        del content[start : start + length]
      case 3:
        content[start:start] = piece * int(generator.integers(1, 5))
      case 4:
        content[start:start] = noise
      case 5:
        del content[start:]
  return bytes(content)


def example(name, folder):
  tensors = {"a.weight": np.ones((3, 4), np.float32), "b": np.arange(3), "c": np.float16([1, 2])}
  if name == "w.npz":
    np.savez(folder / name, **tensors)
  elif name == "packed.npz":
    np.savez_compressed(folder / name, **tensors)
  elif name == "w.safetensors":
    safetensors.save_file(tensors, folder / name)
  else:
    return (GOLDEN / name).read_bytes()
  return (folder / name).read_bytes()


FILES = ("zip.pth", "legacy.pth", "with_scores.t", "with_scores_legacy.t")
FILES += ("w.npz", "packed.npz", "w.safetensors")


@pytest.mark.parametrize("name", FILES)
def test_damage_anywhere_in_a_file(tmp_path, name):
  whole = example(name, tmp_path)
  generator = np.random.default_rng(0)
  contents = (damaged(whole, generator) for _ in range(200 * ROUNDS))
  read, total = tally(tmp_path / name, contents)
  assert total == 200 * ROUNDS
  assert read < total
  assert tally(tmp_path / name, [whole]) == (1, 1)


def repacked(content, change):
  """Returns a zip file with every entry changed, and with checksums that agree."""
  file = io.BytesIO()
  with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
    for entry in old.infolist():
      new.writestr(entry.filename, change(entry.filename, old.read(entry)))
  return file.getvalue()


@pytest.mark.parametrize("name, inside", [("zip.pth", "data.pkl"), ("w.npz", "a.weight.npy")])
def test_damage_that_checksums_do_not_show(tmp_path, name, inside):
  whole, generator = example(name, tmp_path), np.random.default_rng(1)

  def change(entry, content):
    return damaged(content, generator) if entry.endswith(inside) else content

  contents = [repacked(whole, change) for _ in range(100 * ROUNDS)]
  read, total = tally(tmp_path / name, contents)
  assert 0 < read < total  # some damage does not matter, such as other numbers in a tensor


def test_damage_in_the_header_of_safetensors(tmp_path):
  whole, generator = example("w.safetensors", tmp_path), np.random.default_rng(2)
  length = struct.unpack("<Q", whole[:8])[0]
  header, numbers = whole[8 : 8 + length], whole[8 + length :]

  def content():
    changed = damaged(header, generator)
    return struct.pack("<Q", len(changed)) + changed + numbers

  read, total = tally(tmp_path / "w.safetensors", (content() for _ in range(100 * ROUNDS)))
  assert read < total


# Arguments of the instructions by the kind that the standard library gives them.
SIZES = (0, 1, 2, 3, 255, 2**16, 2**31 - 1)
NAMES = ("torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict")
NAMES += ("torch._utils _rebuild_parameter", "os system", "numpy dtype", "builtins eval")


def argument(kind, generator):
  """Returns the bytes behind an instruction."""
  size = int(generator.choice(SIZES))
  text = generator.choice(["state_dict", "a.weight", "storage", "0", "\x1b[2J", "x" * 300])
  fixed = {"uint1": 1, "uint2": 2, "int4": 4, "uint4": 4, "uint8": 8, "float8": 8}
  if kind in fixed:
    return (size % 256 ** fixed[kind]).to_bytes(fixed[kind], "little")
  if kind.endswith("_pair"):
    return generator.choice(NAMES).replace(" ", "\n").encode() + b"\n"
  prefix = {"1": 1, "4": 4, "8": 8}.get(kind[-1])
  if prefix:
    content = text.encode()[:255] if generator.random() < 0.9 else b""
    length = len(content) or size % 256**prefix
    return length.to_bytes(prefix, "little") + content
  return {"decimalnl_short": b"7\n", "decimalnl_long": b"7L\n", "floatnl": b"1e9\n"}.get(
    kind, b"'text'\n"
  )


def random_pickle(generator):
  """Returns instructions in any order, among them a few that make sense."""
  whole = [
    torch.tensor("0", 6, (2, 3)),
    torch.mapping({"a": torch.tensor("0", 6, (6,))}),
    torch.value({"a": [1, (2, "3")]}),
    torch.stored("0", 6),
    b"}",
    b"(",
  ]
  parts = []
  for _ in range(generator.integers(1, 40)):
    if generator.random() < 0.4:
      parts.append(whole[generator.integers(len(whole))])
      continue
    instruction = pickletools.opcodes[generator.integers(len(pickletools.opcodes))]
    parts.append(instruction.code.encode("latin-1"))
    if instruction.arg is not None:
      parts.append(argument(instruction.arg.name, generator))
  return b"".join(parts)


@pytest.mark.parametrize("form", torch.FORMATS)
def test_pickles_of_random_instructions(tmp_path, form):
  generator = np.random.default_rng(3)
  numbers = {"0": np.ones(6, np.float32)}
  contents = (torch.FORMATS[form](random_pickle(generator), numbers) for _ in range(300 * ROUNDS))
  read, total = tally(tmp_path / "w.pth", contents)
  assert total == 300 * ROUNDS
  assert read < total


@pytest.mark.parametrize("form", torch.FORMATS)
def test_tensors_of_random_sizes(tmp_path, form):
  generator = np.random.default_rng(4)
  numbers = {"0": np.ones(6, np.float32)}

  def some(count):
    return tuple(int(generator.choice([0, 1, 2, 3, 6, 7, -1, 2**33])) for _ in range(count))

  def content():
    axes = int(generator.integers(0, 4))
    size, offset = (int(generator.choice([6, 6, 6, 5, 2**40])) for _ in range(2))
    tensor = torch.tensor("0", size, some(axes), some(axes), offset % 6)
    return torch.FORMATS[form](torch.mapping({"a": tensor}), numbers)

  read, total = tally(tmp_path / "w.pth", (content() for _ in range(200 * ROUNDS)))
  assert 0 < read < total
