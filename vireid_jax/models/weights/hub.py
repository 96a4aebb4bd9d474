"""Files of the Hugging Face hub, by name."""

import pathlib

from vireid_jax.errors import UserError

SCHEME = "hf://"
DEFAULT_FILE = "model.safetensors"


def fetch(name: str) -> pathlib.Path:
  """Downloads a file once and returns its place in the hub's cache.

  Args:
    name: 'hf://owner/name' for its model.safetensors, or 'hf://owner/name/file'.

  Raises:
    UserError: a name of another form, huggingface_hub not installed, no network, no such file.
  """
  owner, repository, *file = name.removeprefix(SCHEME).split("/", 2) + [""]
  if not name.startswith(SCHEME) or not owner or not repository:
    raise UserError(f"{name!r} is no hub name; write hf://owner/name, for example {EXAMPLE}")
  try:
    import huggingface_hub
  except ModuleNotFoundError:
    raise UserError(
      f"{name} needs the package huggingface_hub: pip install 'vireid_jax[hub]'. {_WITHOUT}"
    ) from None
  try:
    wanted = file[0] or DEFAULT_FILE
    return pathlib.Path(huggingface_hub.hf_hub_download(f"{owner}/{repository}", wanted))
  # The hub's client raises its own errors and those of two HTTP libraries, by release.
  except Exception as error:
    reason = str(error).strip().split("\n")[0]
    raise UserError(
      f"{name} is not in the local cache and cannot be fetched ({type(error).__name__}: {reason}). "
      f"{_WITHOUT}"
    ) from error


EXAMPLE = "hf://timm/resnet50.tv_in1k"
_WITHOUT = (
  "Without it: fetch the file on a machine with a network and give its path instead, such as "
  "--config.init_from=/path/to/model.safetensors"
)
