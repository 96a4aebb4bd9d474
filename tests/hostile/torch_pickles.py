"""Files as torch.save writes them, put together instruction by instruction."""

import io
import pickle
import struct
import zipfile

import numpy as np

PROTOCOL = b"\x80\x02"
DTYPES = {
  "FloatStorage": np.float32,
  "DoubleStorage": np.float64,
  "HalfStorage": np.float16,
  "LongStorage": np.int64,
  "CharStorage": np.int8,
}


def name(module, attribute):
  """Instructions that name a global."""
  return f"c{module}\n{attribute}\n".encode()


def value(plain):
  """Instructions for numbers, text, tuples, lists."""
  return pickle.dumps(plain, 2)[2:-1]


def stored(key, size, dtype="FloatStorage"):
  """Instructions for a storage of `size` numbers."""
  parts = value("storage"), name("torch", dtype), value(key), value("cpu"), value(size)
  return b"(" + b"".join(parts) + b"tQ"


def tensor(key, size, shape, strides=None, offset=0, dtype="FloatStorage"):
  """Instructions for a tensor; without strides, it is contiguous."""
  if strides is None:
    strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
  hooks = name("collections", "OrderedDict") + b")R"
  parts = stored(key, size, dtype), value(offset), value(shape), value(strides), b"\x89", hooks
  return name("torch._utils", "_rebuild_tensor_v2") + b"(" + b"".join(parts) + b"tR"


def mapping(items):
  """Instructions for a dict of instructions by text."""
  return b"}(" + b"".join(value(key) + content for key, content in items.items()) + b"u"


def saved(instructions, arrays=None, *, compression=zipfile.ZIP_STORED):
  """A file of today's format: one pickle and the numbers of its storages."""
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", compression) as archive:
    archive.writestr("archive/data.pkl", PROTOCOL + instructions + b".")
    for key, array in (arrays or {}).items():
      archive.writestr(f"archive/data/{key}", np.asarray(array).tobytes())
  return file.getvalue()


def saved_legacy(instructions, arrays=None):
  """A file of the format before PyTorch 1.6."""
  arrays = arrays or {}
  system = {"protocol_version": 1001, "little_endian": True}
  head = b"".join(pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, system))
  storages = (struct.pack("<q", array.size) + array.tobytes() for array in arrays.values())
  body = PROTOCOL + instructions + b"." + pickle.dumps(list(arrays), 2)
  return head + body + b"".join(storages)


FORMATS = {"zip": saved, "legacy": saved_legacy}
