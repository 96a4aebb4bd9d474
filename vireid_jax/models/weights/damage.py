"""What is wrong with a file of weights, in words: names of exceptions mean nothing to its user."""

import pathlib
import string
import zipfile

AGAIN = "Fetch it again"
HEAD, TAR = 512, 257  # bytes that are looked at; offset of the mark of a tar archive
ZIP = b"PK\x03\x04"
# First bytes of files that are often given by mistake: what it is, and what to do.
BEGINNINGS = (
  (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Run git lfs pull"),
  (b"\x89HDF\r\n", "an HDF5 file, as Keras writes", "Convert it to .safetensors"),
  (b"\x93NUMPY", "a single NumPy array", "Save all tensors by name with numpy.savez"),
  (b"GGUF", "a GGUF file", "Convert it to .safetensors"),
  (b"\x1f\x8b", "compressed by gzip", "Unpack it first"),
  (b"BZh", "compressed by bzip2", "Unpack it first"),
  (b"\xfd7zXZ", "compressed by xz", "Unpack it first"),
  (b"\x28\xb5\x2f\xfd", "compressed by zstd", "Unpack it first"),
  (b"7z\xbc\xaf", "a 7z archive", "Unpack it first"),
  (b"Rar!", "a RAR archive", "Unpack it first"),
  (b"\x89PNG", "a PNG picture", "Give the file of weights"),
  (b"\xff\xd8\xff", "a JPEG picture", "Give the file of weights"),
  (b"%PDF", "a PDF document", "Give the file of weights"),
)


class Damaged(ValueError):
  """The content of a file is wrong; the message says so in words for its user."""


def describe(path: pathlib.Path, error: Exception) -> tuple[str, str]:
  """Returns why a file cannot be read as weights, and what to do.

  Args:
    path: A regular file.
    error: What reading it raised.

  Returns:
    (reason, remedy); the reason is empty if nothing is known about it.
  """
  known = _of_beginning(path)
  if known:
    return known
  if isinstance(error, Damaged):
    return str(error), AGAIN
  if isinstance(error, zipfile.BadZipFile):
    words = "a checksum (CRC) is wrong" if "CRC" in str(error) else "not a whole zip archive"
    return words, AGAIN
  return ("it ends early" if isinstance(error, EOFError) else ""), AGAIN


def _of_beginning(path: pathlib.Path) -> tuple[str, str] | None:
  """Returns what a file is by its first bytes, and what to do; None if they tell nothing."""
  with path.open("rb") as file:
    head = file.read(HEAD)
  if not head:
    return "it is empty", AGAIN
  for beginning, what, remedy in BEGINNINGS:
    if head.startswith(beginning):
      return what, remedy
  if head[TAR : TAR + 5] == b"ustar":
    return "a tar archive", "Unpack it first"
  return _of_content(path.suffix.lower(), head)


def _of_content(suffix: str, head: bytes) -> tuple[str, str] | None:
  if not any(head):
    return "it begins with zeros, as an interrupted download may", AGAIN
  if suffix != ".safetensors" and head[8:10] == b'{"':
    return "a safetensors file by its first bytes", "Name it .safetensors"
  if suffix == ".safetensors" and head.startswith(ZIP):
    return "a zip archive, as torch.save and numpy.savez write", "Name it .pth or .npz"
  if set(head) <= set(string.printable.encode()):
    web = head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))
    page = "a web page; it may ask to log in or to confirm" if web else "a text file"
    return page, "Download the file itself"
  return None
