"""Files on the Hugging Face hub."""

import http.client
import pathlib
import ssl
import threading
import urllib.error
import urllib.request

from vireid_jax.common import progress
from vireid_jax.common.errors import UserError, printable

SCHEME = "hf://"
DEFAULT_FILE = "model.safetensors"
MOST_SHOWN = 300
SECONDS = 8.0  # that the hub has for a first answer


def parse(name: str) -> tuple[str, str, str]:
  """Returns the owner, the repository and the file of a hub name.

  Raises:
    UserError: The name has another form.
  """
  parts = name.removeprefix(SCHEME).split("/", 2)
  owner, repository, file = (*parts, "", "", "")[:3]
  if not name.startswith(SCHEME) or not owner or not repository or not name.isprintable():
    raise UserError(f"{name!r} is not a hub name; write hf://owner/name, for example {EXAMPLE}")
  return owner, repository, file or DEFAULT_FILE


def fetch(name: str) -> pathlib.Path:
  """Downloads a file, unless cached, and returns its path in the hub's cache.

  Args:
    name: 'hf://owner/name' for its model.safetensors, or 'hf://owner/name/file'.

  Raises:
    UserError: The name has another form, huggingface_hub is not installed, the hub does not answer
      within `SECONDS`, or there is no such file.
  """
  owner, repository, file = parse(name)
  try:
    import huggingface_hub
  except ModuleNotFoundError:
    raise UserError(
      f"{name} needs the package huggingface_hub: pip install 'vireid_jax[hub]'. {_WITHOUT}"
    ) from None
  place = (f"{owner}/{repository}", file)
  cached = huggingface_hub.try_to_load_from_cache(*place)
  if isinstance(cached, str):
    return pathlib.Path(cached)
  with progress.show(f"fetching {name}"):
    _check_answers(name, huggingface_hub.constants)
    try:
      return pathlib.Path(huggingface_hub.hf_hub_download(*place))
    # Depending on its version, the client raises its own errors or those of two HTTP libraries.
    except Exception as error:
      raise UserError(_failed(name, _reason(error))) from error


def _check_answers(name: str, constants) -> None:
  """Raises UserError if the hub does not answer; its client would try again for a minute."""
  if constants.HF_HUB_OFFLINE:
    raise UserError(_failed(name, "HF_HUB_OFFLINE is set"))
  found: list[Exception | None] = []
  # Looking up the address of a server has no timeout of its own.
  thread = threading.Thread(
    target=lambda: found.append(_try(constants.ENDPOINT)), name="hub", daemon=True
  )
  thread.start()
  thread.join(SECONDS)
  if not found or found[0]:
    reason = _words(found[0]) if found else f"no answer in {SECONDS:.0f} seconds"
    raise UserError(_failed(name, f"{constants.ENDPOINT} cannot be reached: {reason}"))


def _try(url: str) -> Exception | None:
  """Returns why a server cannot be reached; None if it answers, with an error too."""
  try:
    with urllib.request.urlopen(url, timeout=SECONDS):
      return None
  except urllib.error.HTTPError:
    return None
  except urllib.error.URLError as error:
    reason = error.reason
    # The client may know certificates that Python does not.
    if isinstance(reason, ssl.SSLError):
      return None
    return reason if isinstance(reason, Exception) else error
  except (OSError, ValueError, http.client.HTTPException) as error:
    return error


def _words(error: Exception) -> str:
  return (isinstance(error, OSError) and error.strerror) or str(error) or "no connection"


def _reason(error: Exception) -> str:
  """Returns the client's reason in words."""
  status = getattr(getattr(error, "response", None), "status_code", None)
  if status in (401, 403, 404):
    return f"status {status}: there is no such file, or it needs `hf auth login`"
  return str(error).strip().partition("\n")[0] or "the hub's client gives no reason"


def _failed(name: str, reason: str) -> str:
  return (
    f"{name} is not in the local cache and cannot be fetched ({printable(reason)[:MOST_SHOWN]}). "
    f"{_WITHOUT}"
  )


EXAMPLE = "hf://timm/resnet50.tv_in1k"
VIT_EXAMPLE = "hf://timm/vit_base_patch16_224.orig_in21k_ft_in1k"
_WITHOUT = (
  "Alternatively, download the file elsewhere and give its path, such as "
  "--config.pretrained=/path/to/model.safetensors"
)
