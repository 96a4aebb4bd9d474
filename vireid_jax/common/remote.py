"""Places that are not folders of this machine, such as gs://bucket/run."""

import re

from vireid_jax.common.errors import UserError, printable

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
HUB = "hf"  # of weights only


def refuse(text: str, what: str) -> None:
  """Raises UserError for a place in a bucket or on a server, which pathlib takes for a folder.

  Args:
    text: A path, as the user wrote it.
    what: Beginning of the message, such as '--workdir='.
  """
  scheme = _SCHEME.match(text)
  if scheme and len(scheme[1]) > 1:  # C:/ is a drive
    raise UserError(
      f"{what}{printable(text)} is a place of the kind {scheme[1]}://, and only local folders are "
      "read and written; mount it or copy it, and give that folder"
    )
