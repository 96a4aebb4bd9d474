"""Paths as users write them: of this machine, or of a bucket (`gs://`).

Everything that may be in a bucket is opened with `path`. What it returns for a bucket has those
methods of `pathlib.Path` that the package uses, so that nobody else needs to know.
"""

import importlib.util
import os
import pathlib
import re
import sys
from collections.abc import Sequence

from vireid_jax.common.errors import UserError, printable

HUB = "hf"  # of weights only
BUCKET = "gs://"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_BUCKET_NAME = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?", re.DOTALL)


def path(place: str | os.PathLike, what: str = "") -> pathlib.Path:
  """Returns the path of a file or folder, which need not exist; ~ is replaced.

  Args:
    place: As the user wrote it, or a path.
    what: Beginning of error messages, such as '--workdir='.

  Raises:
    UserError: The place is of another kind, or is in a bucket that cannot be read.
    RuntimeError: It is the home of an unknown user.
  """
  text = os.fspath(place)
  check_kind(text, what)
  if not is_remote(text):
    return pathlib.Path(place).expanduser()
  from vireid_jax.common import bucket_path  # here, because it takes a second

  return bucket_path.opened(text, what)


def local(place: str | os.PathLike, what: str = "") -> pathlib.Path:
  """Returns a path of this machine; see `path`.

  Raises:
    UserError: The place is in a bucket, or of another kind.
    RuntimeError: It is the home of an unknown user.
  """
  refuse_bucket(os.fspath(place), what)
  return pathlib.Path(place).expanduser()


def refuse_bucket(text: str, what: str) -> None:
  """Raises UserError for a place that is not of this machine; see `check_kind`."""
  if not is_remote(text):
    check_kind(text, what)
  else:
    raise UserError(
      f"{what}{printable(text)} is in a bucket, and this is read and written on this machine only; "
      "copy it with 'gcloud storage cp -r', and give the copy"
    )


def is_remote(place: str | os.PathLike) -> bool:
  """Returns whether a place is in a bucket."""
  return os.fspath(place).startswith(BUCKET)


def check_kind(text: str, what: str) -> None:
  """Raises UserError for a place that is neither of this machine nor in a bucket.

  pathlib would take such a place for a folder. Nothing is read.

  Args:
    text: A path, as the user wrote it.
    what: Beginning of the message, such as '--workdir='.
  """
  scheme = _SCHEME.match(text)
  if not scheme or len(scheme[1]) == 1:  # C:/ is a drive
    return
  if scheme[1].lower() != "gs":
    raise UserError(
      f"{what}{printable(text)} is a place of the kind {scheme[1]}://, and only local folders and "
      f"buckets of the kind {BUCKET} are read and written; mount it or copy it, and give that "
      "folder"
    )
  if not _BUCKET_NAME.fullmatch(text):
    raise UserError(f"{what}{printable(text)} names no bucket; write {BUCKET}BUCKET/FOLDER")
  if importlib.util.find_spec("gcsfs") is None:
    raise UserError(
      f"{what}{printable(text)} is in a bucket, which needs gcsfs: pip install 'vireid_jax[gcs]' "
      "(in a checkout pip install -e '.[gcs]')"
    )


def reason(error: BaseException) -> str | None:
  """Returns why a bucket could not be read or written, in words; None for any other error."""
  if "gcsfs" not in sys.modules:
    return None
  from vireid_jax.common import bucket_path

  return bucket_path.reason(error)


def below(place: pathlib.Path, folder: pathlib.Path | None) -> str:
  """Returns a path relative to a folder that contains it; the folder's own name for the folder."""
  if place == folder:
    return place.name or str(place)
  return str(place) if folder is None else place.relative_to(folder).as_posix()


def common_folder(places: Sequence[pathlib.Path]) -> pathlib.Path | None:
  """Returns the innermost folder that contains all absolute paths; None if there is none."""
  for folder in (places[0], *places[0].parents):
    if all(place == folder or folder in place.parents for place in places):
      return folder
  return None
