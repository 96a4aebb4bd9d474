"""Paths in a bucket of Google Cloud Storage, with the methods of `pathlib.Path` used here.

Objects appear and are replaced whole, so every write is atomic. Folders exist as long as they
contain an object. Import this module only through `common.paths`.
"""

import contextlib
import errno
import fnmatch
import functools
import io
import logging
import os
import types
from collections.abc import Iterator
from typing import Any

from etils.epath import gpath

from vireid_jax.common.errors import UserError, printable

REACHING = 30.0  # seconds to wait for a bucket's first answer
BINARY, TEXT = ("rb",), ("r", "rt")


@functools.cache
def filesystem():
  """Returns the file system, the one that Orbax uses too."""
  # Its search for buckets with folders of their own asks a second service, in vain on an emulator.
  os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
  for name in ("gcsfs", "google.auth"):  # they also raise what they log
    logging.getLogger(name).setLevel(logging.CRITICAL)
  import fsspec

  # Other processes write there too, so remembered listings would be wrong.
  fsspec.config.conf.setdefault("gcs", {})["use_listings_cache"] = False
  return fsspec.filesystem("gcs", finalize_on_close=True)


class BucketPath(gpath.PosixGPath):
  """A path in a bucket, 'gs://bucket/folder/name'."""

  @property
  def anchor(self) -> str:
    """The bucket."""
    return f"gs://{self.parts[2]}"

  @property
  def parent(self) -> "BucketPath":
    """The folder of the path; a bucket is its own."""
    return self if len(self.parts) <= 3 else super().parent

  @property
  def parents(self) -> tuple["BucketPath", ...]:
    """All folders that contain the path, innermost first."""
    return () if self.parent == self else (self.parent, *self.parent.parents)

  @property
  def key(self) -> str:
    """Name of the object in its bucket."""
    return "/".join(self.parts[3:])

  def absolute(self) -> "BucketPath":
    """Returns the path itself."""
    return self

  def resolve(self, strict: bool = False) -> "BucketPath":
    """Returns the path itself."""
    return self

  def expanduser(self) -> "BucketPath":
    """Returns the path itself."""
    return self

  def is_symlink(self) -> bool:
    """Returns False."""
    return False

  def info(self) -> dict[str, Any]:
    """Returns what the bucket knows of the object: 'size', 'md5Hash', 'generation', ..."""
    with _named(self):
      return filesystem().info(str(self))

  def exists(self) -> bool:
    """Returns whether there is an object or folder of this name."""
    return bool(self._type())

  def is_dir(self) -> bool:
    """Returns whether there is a folder of this name."""
    return self._type() == "directory"

  def is_file(self) -> bool:
    """Returns whether there is an object of this name."""
    return self._type() == "file"

  def _type(self) -> str:
    # fsspec's `exists` would also say no if the bucket cannot be reached.
    try:
      return self.info()["type"]
    except FileNotFoundError:
      return ""

  def stat(self) -> types.SimpleNamespace:
    """Returns st_size (bytes) and st_mtime (seconds) of the object."""
    facts = self.info()
    modified = facts.get("mtime")
    return types.SimpleNamespace(
      st_size=facts["size"], st_mtime=modified.timestamp() if modified else 0.0
    )

  def iterdir(self) -> Iterator["BucketPath"]:
    """Yields the files and folders in the folder."""
    with _named(self):
      found = filesystem().ls(str(self), detail=False)
    names = {place.rstrip("/").rpartition("/")[2] for place in found}
    yield from (self / name for name in sorted(names - {self.name}))

  def glob(self, pattern: str) -> Iterator["BucketPath"]:
    """Yields the files and folders that match a pattern without '**'."""
    first, _, rest = pattern.partition("/")
    try:
      found = [path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, first)]
    except FileNotFoundError:
      return
    for path in found:
      yield from path.glob(rest) if rest else (path,)

  def files(self) -> dict[str, dict[str, Any]]:
    """Returns `info` of all objects in the folder and below, by relative name."""
    with _named(self):
      found = filesystem().find(str(self), detail=True)
    start = len(f"{self}/") - len("gs://")
    return {name[start:]: facts for name, facts in sorted(found.items()) if name[start:]}

  def rglob(self, pattern: str) -> Iterator["BucketPath"]:
    """Yields all objects in the folder and below whose name matches."""
    for name in self.files():
      if fnmatch.fnmatchcase(name.rpartition("/")[2], pattern):
        yield self / name

  def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
    """Does nothing: a folder exists with its first object."""

  def open(self, mode: str = "r", *, encoding: str | None = None, **_) -> io.IOBase:
    """Opens the object for reading; `write_bytes` writes."""
    if mode not in (*BINARY, *TEXT):
      raise ValueError(f"an object in a bucket is read or written whole, not opened as {mode!r}")
    with _named(self):
      file = filesystem().open(str(self), "rb")
    return file if mode in BINARY else io.TextIOWrapper(file, encoding=encoding or "utf-8")

  def read_bytes(self) -> bytes:
    """Returns the object's content."""
    with _named(self):
      return filesystem().cat_file(str(self))

  def read_range(self, start: int, end: int) -> bytes:
    """Returns the bytes from `start` to before `end`."""
    with _named(self):
      return filesystem().cat_file(str(self), start=start, end=end)

  def read_text(self, encoding: str | None = None) -> str:
    """Returns the object's content as text."""
    return self.read_bytes().decode(encoding or "utf-8")

  def write_bytes(self, data: bytes) -> int:
    """Writes the object, which appears or changes at once."""
    with _named(self):
      filesystem().pipe_file(str(self), bytes(data))
    return len(data)

  def write_text(self, data: str, encoding: str | None = None, errors: str | None = None) -> int:
    """Writes the object as text; see `write_bytes`."""
    return self.write_bytes(data.encode(encoding or "utf-8", errors or "strict"))

  def write_over(self, generation: str, data: bytes) -> dict[str, Any] | None:
    """Writes the object if its newest generation is the given one; '0' if it must not exist.

    Returns:
      `info` of the written object; None if another generation is the newest.
    """
    system = filesystem()
    place = f"{system._location}/upload/storage/v1/b/{self.parts[2]}/o"
    request = {"uploadType": "media", "name": self.key, "ifGenerationMatch": generation}
    kind = {"Content-Type": "application/octet-stream"}
    try:
      return system.call("POST", place, **request, headers=kind, data=data, json_out=True)
    except FileExistsError:  # the answer 412
      return None

  def remove_over(self, generation: str) -> bool:
    """Removes the object if its newest generation is the given one; returns whether it did."""
    try:
      filesystem().call(
        "DELETE", "b/{}/o/{}", self.parts[2], self.key, ifGenerationMatch=generation
      )
      return True
    except (FileExistsError, FileNotFoundError):
      return False

  def upload(self, file: os.PathLike) -> None:
    """Writes a file of this machine as the object, which appears or changes at once."""
    with _named(self):
      filesystem().put_file(os.fspath(file), str(self))

  def unlink(self, missing_ok: bool = False) -> None:
    """Removes the object."""
    try:
      with _named(self):
        filesystem().rm_file(str(self))
    except FileNotFoundError:
      if not missing_ok:
        raise

  def rmtree(self, missing_ok: bool = False) -> None:
    """Removes all objects in the folder and below."""
    try:
      with _named(self):
        filesystem().rm(str(self), recursive=True)
    except FileNotFoundError:
      if not missing_ok:
        raise


def opened(text: str, what: str) -> BucketPath:
  """Returns a path in a bucket that can be read.

  Args:
    text: 'gs://bucket/...'.
    what: Beginning of the message, such as '--workdir='.

  Raises:
    UserError: There is no such bucket, no credentials, or no way to it.
  """
  path = BucketPath(text)
  wrong = _wrong_with(path.parts[2])
  if wrong:
    raise UserError(f"{what}{printable(text)}: {wrong}")
  return path


@functools.cache
def _wrong_with(bucket: str) -> str:
  """Returns why a bucket cannot be read and the next step; '' if it can."""
  import fsspec.asyn

  try:
    system = filesystem()
    request = ("GET", "b/{}/o", bucket)
    fsspec.asyn.sync(system.loop, system._call, *request, maxResults=1, timeout=REACHING)
    return ""
  except FileNotFoundError:
    return (
      f"there is no bucket {bucket}; correct the name, or create it with "
      f"'gcloud storage buckets create gs://{bucket}'"
    )
  except Exception as error:
    found = reason(error)
    if found is None:
      raise
    return f"the bucket {bucket} cannot be read: {found}"


def reason(error: BaseException) -> str | None:
  """Returns why a bucket failed, and the next step; None for errors of other kinds."""
  import aiohttp
  import fsspec.exceptions
  import google.auth.exceptions
  import requests
  from gcsfs.retry import HttpError

  silent = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
  said = printable(" ".join(str(error).split()))[:200] or silent
  refused = isinstance(error, HttpError) and str(error.code) in ("401", "403")
  if refused or (isinstance(error, OSError) and str(error).startswith("Forbidden")):
    if getattr(filesystem().credentials, "credentials", None) is None:
      return f"no credentials were found ({said}). {_LOGIN}"
    return (
      f"these credentials may not do that ({said}). Give the account the role "
      "roles/storage.objectUser of the bucket"
    )
  if isinstance(error, google.auth.exceptions.GoogleAuthError):
    return f"the credentials do not work ({said}). {_LOGIN}"
  if isinstance(error, HttpError):
    return f"its service answers: {said}"
  network = (aiohttp.ClientError, requests.RequestException, fsspec.exceptions.FSTimeoutError)
  if isinstance(error, network):
    return f"its service cannot be reached ({said}). Check the network, and try again"
  return None


_LOGIN = (
  "Log in with 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS to a "
  "key file"
)


@contextlib.contextmanager
def _named(path: BucketPath) -> Iterator[None]:
  """Names the path in an error for a missing object, as the system does for files."""
  try:
    yield
  except FileNotFoundError as error:
    raise FileNotFoundError(errno.ENOENT, "there is no such object", str(path)) from error
