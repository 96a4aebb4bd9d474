"""Data sets that need no owner: rendered and prepared when first asked for."""

import pathlib
import tempfile

from vireid_jax import storage
from vireid_jax.data.location import default_data_dir, prepared_versions

RENDERED_FOLDER = "rendered"
SYNTHETIC = "vireid_synthetic"


def data_dir(config) -> pathlib.Path:
  """Returns the root of the prepared data sets that a config reads.

  Args:
    config: the 'data' part: 'dir', and 'render', a preset whose rendered images stand in for the
      real ones, in a root of their own.
  """
  root = pathlib.Path(config["dir"] or default_data_dir()).expanduser()
  return root / RENDERED_FOLDER / config["render"] if config["render"] else root


def ensure(config) -> None:
  """Renders and prepares the config's data set if it is a synthetic one and not there yet."""
  name, root = config["name"], data_dir(config)
  if name.split("/")[0] == SYNTHETIC:
    from vireid_jax import prepare

    # Returns at once where the data set is there, and renders again where its preset has changed.
    prepare.prepare(name, data_dir=root)
  elif config["render"] and not prepared_versions(name, root):
    _prepare_rendered(name, root, config["render"])


def _prepare_rendered(name: str, root: pathlib.Path, preset: str) -> None:
  from vireid_jax import prepare

  place = pathlib.Path(tempfile.gettempdir()) / "vireid_jax"
  with storage.temporary_folder(storage.beside(place, "")) as folder:
    _write(name, folder / name, preset)
    prepare.prepare(name, data_dir=root, manual_dir=folder / name)


def _write(name: str, folder: pathlib.Path, preset: str) -> None:
  from vireid_jax.data import synthetic
  from vireid_jax.errors import UserError, nearest

  if preset not in synthetic.PRESETS:
    raise UserError(
      f"config.data.render = {preset!r} is no preset; {nearest(preset, synthetic.PRESETS)}"
    )
  writers = {
    "sysu_mm01": synthetic.write_sysu_mm01,
    "regdb": synthetic.write_regdb,
    "llcm": synthetic.write_llcm,
    "own": synthetic.write_own,
  }
  writers[name](folder, synthetic.PRESETS[preset], masks=True)
