"""Turns an owner's files, or rendered images, into a prepared data set."""

import contextlib
import importlib
import io
import os
import pathlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator

from vireid_jax.common import cleanup, folders, hints, interrupts, paths, progress
from vireid_jax.common import files as files_lib
from vireid_jax.common.errors import UserError, choose, printable
from vireid_jax.data import layout as layouts
from vireid_jax.data import regular_files
from vireid_jax.data.layout import common, summary, verify
from vireid_jax.data.prepared import location

SYNTHETIC = "vireid_synthetic"
QUICK = "quick"  # the preset that the configs for rendered data read
INCOMPLETE = ".incomplete-"  # prefix of a folder in which a data set is being written


def prepare(
  name: str,
  *,
  data_dir=None,
  manual_dir=None,
  skip_corrupt: bool = False,
  overwrite: bool = False,
  hint: bool = True,
) -> pathlib.Path:
  """Prepares a data set unless it is already prepared, and reports progress on the terminal.

  Args:
    name: `sysu_mm01`, `regdb`, `llcm`, `own` or `vireid_synthetic/<preset>`.
    data_dir: Root of all prepared data sets; None for `location.default_data_dir()`.
    manual_dir: Folder with the owner's files; None for `vireid_synthetic`.
    skip_corrupt: Leave out images that cannot be decoded, instead of refusing.
    overwrite: Prepare again; the old version stays until the new one is complete.
    hint: Say which command trains on the data set; a training that prepares it needs no such hint.

  Returns:
    The folder of the prepared data set.

  Raises:
    UserError: The name is unknown, the layout is wrong, images are corrupt, or `data_dir` is full
      or not writable.
  """
  data_dir = regular_files.anywhere(data_dir or location.default_data_dir()).absolute()
  builder_class, config = find_builder(name)
  _refuse_unusable_name(data_dir)
  target = data_dir / name / str(builder_class.VERSION)
  outdated = _is_outdated(builder_class, config, target)
  if target in location.prepared_versions(name, data_dir) and not (overwrite or outdated):
    _say(f"{name} is already prepared in {target} (--overwrite prepares it again)")
    return target
  layout = _checked_layout(builder_class, config, name, manual_dir, skip_corrupt)
  with _writing(data_dir), _staging_folder(data_dir, layout) as staging:
    with _temporary_files_in(staging):
      built = _build(builder_class, config, layout, staging)
    _publish(built, target, overwrite or outdated)
  summary.show(name, layout, target)
  _say(f"Prepared in {target}")
  if hint:
    _say(f"Train on it with\n  {_train_command(name, data_dir)}")
  return target


def _refuse_unusable_name(data_dir: pathlib.Path) -> None:
  try:
    str(data_dir).encode("utf-8")
  except UnicodeEncodeError:  # TFDS cannot use it
    raise UserError(
      f"cannot write to {printable(str(data_dir))}: the name is not UTF-8. Choose another "
      "--data_dir"
    ) from None


def find_builder(name: str):
  """Returns a data set's builder class and, if it is rendered, the name of its preset."""
  base, _, config = name.partition("/")
  if base == SYNTHETIC:
    choose(name, _synthetic_names(), said=f"{name!r} is not a preset")
  options = [*layouts.READABLE, *_synthetic_names()]
  choose(name, options, said=f"there is no data set {name!r}")
  module = importlib.import_module(f"tfds_builders.{base}.{base}_dataset_builder")
  return module.Builder, config or None


def _synthetic_names() -> list[str]:
  from vireid_jax.data import synthetic

  return [f"{SYNTHETIC}/{preset}" for preset in synthetic.PRESETS]


def _is_outdated(builder_class, config: str | None, target: pathlib.Path) -> bool:
  """Returns whether `target` was rendered from a preset that has changed since."""
  if config is None or not (target / location.INFO_FILE).is_file():
    return False
  current = builder_class.listing(config).metadata["world"]
  if location.stored_world(target) == current:
    return False
  _say(f"{target} was rendered with an older version of its preset: rendering it again")
  return True


def _checked_layout(builder_class, config, name, manual_dir, skip_corrupt) -> layouts.Layout:
  if config is not None:
    if manual_dir is not None:
      raise UserError(f"{name} is rendered and takes no --manual_dir (got {manual_dir}).")
    return builder_class.listing(config)
  if manual_dir is None:
    steps = " ".join(builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
    raise UserError(f"{name} needs --manual_dir, the folder with its owner's files.\n{steps}")
  layout = layouts.read(builder_class.READER, manual_dir)
  if layout.metadata["synthetic"]:
    published = "" if name == "own" else ": its counts are not compared with the published ones"
    _say(f"{layout.root} is a rendered tree{published}")
  for sentence in layout.warnings:
    _say(f"warning: {sentence}")
  kept = _without_corrupt(layout, skip_corrupt)
  if kept is not layout:
    layouts.check_again(builder_class.READER, kept)
  return kept


def _without_corrupt(layout: layouts.Layout, skip_corrupt: bool) -> layouts.Layout:
  with progress.show("checking", len(layout.images), "img") as activity:
    reasons = verify.corrupt_images(layout.images, on_image=activity.advance)
  if not reasons:
    return layout
  listing = "".join(f"\n  {printable(file_name)} ({why})" for file_name, why in reasons.items())
  count = f"{len(reasons)} of {len(layout.images)} images in {layout.root} cannot be decoded"
  if not skip_corrupt:
    raise UserError(
      f"{count}:{listing}\nNothing was written. Save these files again with 8 bits per "
      "channel or copy them from their archive, or pass --skip_corrupt to leave them out."
    )
  _say(f"warning: {count} and are left out:{listing}")
  common.refuse_empty_splits(layout.without(reasons).images, layout.splits)
  return layout.without(reasons)


@contextlib.contextmanager
def _writing(data_dir: pathlib.Path) -> Iterator[None]:
  """Turns failed writes inside the context, such as on a full disk, into UserErrors."""
  try:
    yield
  except UserError:
    raise
  except Exception as error:  # TFDS raises its own kinds
    reason = files_lib.reason_of(error)
    if reason is None:
      raise
    raise UserError(
      f"cannot write to {data_dir}: {reason}. Nothing was prepared. Free space or give this "
      "user access, or choose another --data_dir (--config.data.dir in training)"
    ) from error


@contextlib.contextmanager
def _staging_folder(data_dir: pathlib.Path, layout: layouts.Layout) -> Iterator[pathlib.Path]:
  """Yields a folder, removed at the end: hidden beside the data sets, temporary for a bucket."""
  root = pathlib.Path(tempfile.gettempdir()) if paths.is_remote(data_dir) else data_dir
  staging = root / f"{INCOMPLETE}{os.urandom(8).hex()}"
  with cleanup.removing(staging):
    try:
      staging.mkdir(parents=True)
    except OSError as error:
      raise UserError(f"cannot write to {root}: {error}. Pass another --data_dir.") from error
    _refuse_full_disk(root, layout)
    yield staging


@contextlib.contextmanager
def _temporary_files_in(staging: pathlib.Path) -> Iterator[None]:
  """Makes TFDS put its temporary files into a folder that is removed at the end."""
  before, tempfile.tempdir = tempfile.tempdir, str(staging)
  try:
    yield
  finally:
    tempfile.tempdir = before


def _refuse_full_disk(data_dir: pathlib.Path, layout: layouts.Layout) -> None:
  files = [image.path for image in layout.images if image.path.is_file()]
  needed, free = sum(path.stat().st_size for path in files), shutil.disk_usage(data_dir).free
  if needed > free:
    raise UserError(
      f"the images take {needed / 1e9:.2f} GB and {data_dir} has {free / 1e9:.2f} GB left. "
      "Free space, or pass another --data_dir."
    )


def _build(builder_class, config, layout: layouts.Layout, staging: pathlib.Path) -> pathlib.Path:
  import tensorflow_datasets as tfds
  from absl import logging

  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  bars_were_shown = tfds.core.utils.tqdm_utils._active
  tfds.disable_progress_bar()  # TFDS shows several per split; one for everything says more
  try:
    options = {"config": config} if config else {"masks": layout.has_masks}
    builder = builder_class(data_dir=str(staging), file_format="array_record", **options)
    builder.layout = layout
    with (
      progress.show("storing", len(layout.images), "img") as activity,
      contextlib.redirect_stdout(io.StringIO()),
    ):
      builder.on_image = activity.advance
      builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
          manual_dir=str(layout.root), try_download_gcs=False
        )
      )
  finally:
    logging.set_verbosity(verbosity)
    if bars_were_shown:
      tfds.enable_progress_bar()
  return pathlib.Path(builder.data_path)


def _publish(built: pathlib.Path, target: pathlib.Path, overwrite: bool) -> None:
  """Renames the complete data set into place, unless another process was faster."""
  target.parent.mkdir(parents=True, exist_ok=True)
  try:
    with interrupts.deferred():
      if overwrite or paths.is_remote(target):
        folders.put(built, target, mark=location.INFO_FILE)
      else:
        built.replace(target)
  except OSError:  # a folder that is not empty is never replaced
    if not (target / location.INFO_FILE).is_file():
      raise
    _say(f"another process has prepared {target} in the meantime; using its data set")


def _say(text: str) -> None:
  print(printable(text, keep="\n"), file=sys.stderr)


def _train_command(name: str, data_dir: pathlib.Path) -> str:
  base, _, preset = name.partition("/")
  files = {"sysu_mm01": "mun_sysu", SYNTHETIC: "mun_synthetic", "own": "agw_own"}
  config = files.get(base, f"mun_{base}")
  variant, run, overrides = "", config, ()
  if preset == "smoke":  # the variant that reads it, which has few people in a batch
    variant, run = ":smoke", f"{config}-smoke"
  elif preset and preset != QUICK:
    run, overrides = f"{config}-{preset}", (f"--config.data.name={name}",)
  words = ("--config", f"configs/{config}.py{variant}", "--workdir", f"runs/{run}", *overrides)
  command = hints.command("train", *words)
  if data_dir == location.default_data_dir().absolute():
    return command
  return f"TFDS_DATA_DIR={shlex.quote(str(data_dir))} {command}"
