"""Files of the Hugging Face hub, by name."""

import pathlib

from vireid_jax.common.errors import UserError, printable

SCHEME = "hf://"
DEFAULT_FILE = "model.safetensors"


MOST_SHOWN = 300


def parse(name: str) -> tuple[str, str, str]:
  """Returns the owner, the repository and the file of a hub name.

  Raises:
    UserError: a name of another form.
  """
  parts = name.removeprefix(SCHEME).split("/", 2)
  owner, repository, file = (*parts, "", "", "")[:3]
  if not name.startswith(SCHEME) or not owner or not repository or not name.isprintable():
    raise UserError(f"{name!r} is no hub name; write hf://owner/name, for example {EXAMPLE}")
  return owner, repository, file or DEFAULT_FILE


def fetch(name: str) -> pathlib.Path:
  """Downloads a file once and returns its place in the hub's cache.

  Args:
    name: 'hf://owner/name' for its model.safetensors, or 'hf://owner/name/file'.

  Raises:
    UserError: a name of another form, huggingface_hub not installed, no network, no such file.
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
  # The hub's client raises its own errors and those of two HTTP libraries, by release.
  except Exception as error:
    reason = printable(str(error).strip().split("\n")[0])[:MOST_SHOWN]
    raise UserError(
      f"{name} is not in the local cache and cannot be fetched ({type(error).__name__}: {reason}). "
      f"{_WITHOUT}"
    ) from error


EXAMPLE = "hf://timm/resnet50.tv_in1k"
_WITHOUT = (
  "Without it: fetch the file on a machine with a network and give its path instead, such as "
  "--config.pretrained=/path/to/model.safetensors"
)
