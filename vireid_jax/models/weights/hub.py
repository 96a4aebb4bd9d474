"""Files on the Hugging Face hub."""

import pathlib

from vireid_jax.common.errors import UserError, printable

SCHEME = "hf://"
DEFAULT_FILE = "model.safetensors"
MOST_SHOWN = 300


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
    UserError: The name has another form, huggingface_hub is not installed, the hub cannot be
      reached, or there is no such file.
  """
  owner, repository, file = parse(name)
  try:
    import huggingface_hub
  except ModuleNotFoundError:
    raise UserError(
      f"{name} needs the package huggingface_hub: pip install 'vireid_jax[hub]'. {_WITHOUT}"
    ) from None
  try:
    return pathlib.Path(huggingface_hub.hf_hub_download(f"{owner}/{repository}", file))
  # Depending on its version, the client raises its own errors or those of two HTTP libraries.
  except Exception as error:
    reason = printable(str(error).strip().split("\n")[0])[:MOST_SHOWN]
    raise UserError(
      f"{name} is not in the local cache and cannot be fetched ({type(error).__name__}: {reason}). "
      f"{_WITHOUT}"
    ) from error


EXAMPLE = "hf://timm/resnet50.tv_in1k"
_WITHOUT = (
  "Alternatively, download the file elsewhere and give its path, such as "
  "--config.pretrained=/path/to/model.safetensors"
)
