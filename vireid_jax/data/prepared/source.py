"""Reads prepared data sets: the records of their images, and the images' bytes."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import pathlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from vireid_jax.common import bucket_cache
from vireid_jax.common.errors import UserError, choose
from vireid_jax.common.records import Records
from vireid_jax.data.prepared import location, stored
from vireid_jax.data.prepared.location import dataset_folder, prepare_command

CHUNK = 1024  # examples read at once


@dataclasses.dataclass(frozen=True)
class ImageSet:
  """Encoded images of a data set, with their records.

  Attributes:
    records: Identity, camera, modality and file name of each image.
    encoded: JPEG or PNG bytes of each image, in the same order.
    masks: PNG bytes of each image's pedestrian mask; None if they were not loaded.
    checksums: uint32 [n], CRC-32 of each image's bytes; None for images that were never stored.
  """

  records: Records
  encoded: Sequence[bytes]
  masks: Sequence[bytes] | None = None
  checksums: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.records)

  def take(self, rows: np.ndarray) -> "ImageSet":
    """Returns the images at `rows` (int [m])."""
    return ImageSet(
      self.records.take(rows),
      stored.take(self.encoded, rows),
      None if self.masks is None else stored.take(self.masks, rows),
      None if self.checksums is None else self.checksums[rows],
    )

  def fingerprint(self) -> str:
    """Returns 16 hex digits that change with any image, any record, or their order."""
    digest = hashlib.sha256()
    for column in (*dataclasses.astuple(self.records), self.checksums):
      digest.update(json.dumps(np.asarray(column).tolist()).encode())
    return digest.hexdigest()[:16]


class Dataset:
  """A prepared data set on disk.

  Attributes:
    name: Name of the data set, for example 'regdb' or 'vireid_synthetic/quick'.
    folder: Folder of the newest prepared version; if that is in a bucket, of its copy.
    metadata: Metadata that the builder recorded: 'synthetic', 'subsets', ...
  """

  def __init__(self, name: str, data_dir: str | pathlib.Path | None = None):
    """Opens the newest prepared version.

    Args:
      name: Name of the data set, with its preset if it has one.
      data_dir: Root of all prepared data sets; empty for the default.

    Raises:
      UserError: The data set is not prepared there, or its metadata cannot be read; the message
        gives the command that prepares it.
    """
    self.name = name
    self.folder = bucket_cache.local(dataset_folder(name, data_dir or None))
    try:
      self.metadata: dict[str, Any] = location.read_metadata(self.folder)
    except (OSError, ValueError, RecursionError, UserError) as error:
      raise location.damaged(name, self.folder, location.METADATA_FILE, error) from error

  @property
  def is_synthetic(self) -> bool:
    """Whether the images are rendered, so that results must be marked as synthetic."""
    return bool(self.metadata.get("synthetic"))

  @property
  def subsets(self) -> dict[str, Any]:
    """Named subsets of a stored split, chosen by identity, such as RegDB's ten trials."""
    return self.metadata.get("subsets") or {}

  def split_names(self) -> list[str]:
    """Returns the names that `load` accepts: splits and named subsets."""
    return [*self._builder().info.splits, *self.subsets]

  def count(self, *splits: str) -> int:
    """Returns the largest number of images that the splits can have, without reading any.

    A subset counts as the whole split from which it is taken.
    """
    stored = self._builder().info.splits
    whole = (self.subsets[name]["split"] if name in self.subsets else name for name in splits)
    return sum(stored[name].num_examples for name in whole if name in stored)

  def load(self, *splits: str, masks: bool = False, on_disk: bool = False) -> ImageSet:
    """Reads the records and encoded images of splits or subsets, concatenated.

    Args:
      *splits: Names of splits or subsets, see `split_names`.
      masks: Whether to read the pedestrian masks too.
      on_disk: Whether to keep only the records in memory, and to read an image when it is accessed.

    Raises:
      UserError: A split is unknown, the splits are empty, masks were not prepared, or files cannot
        be read.
    """
    if masks and not self.has_masks:
      raise UserError(
        f"data set {self.name} in {self.folder} has no masks. Put one per image below masks/ beside"
        " the owner's files (docs/datasets.md) and prepare it again:\n  "
        f"{prepare_command(self.name)} --overwrite\nor choose another source of the region"
      )
    loaded = [self._load_named(split, masks, on_disk) for split in splits]
    records = Records(
      **{
        field.name: np.concatenate([getattr(part.records, field.name) for part in loaded])
        for field in dataclasses.fields(Records)
      }
    )
    if not len(records):
      raise UserError(f"{' + '.join(splits)} of {self.name} in {self.folder} have no image")
    return ImageSet(
      records,
      stored.join([part.encoded for part in loaded]),
      stored.join([part.masks for part in loaded]) if masks else None,
      np.concatenate([part.checksums for part in loaded]),
    )

  @property
  def has_masks(self) -> bool:
    """Whether a pedestrian mask was stored with each image."""
    return "mask" in self._builder().info.features

  def _load_named(self, name: str, masks: bool, on_disk: bool) -> ImageSet:
    if name in self.subsets:
      subset = self.subsets[name]
      whole = self._load_split(subset["split"], masks, on_disk)
      return whole.take(np.flatnonzero(np.isin(whole.records.identity, subset["identities"])))
    choose(name, self.split_names(), said=f"data set {self.name} has no split {name!r}")
    return self._load_split(name, masks, on_disk)

  def _load_split(self, split: str, masks: bool, on_disk: bool) -> ImageSet:
    import tensorflow_datasets as tfds

    pictures = ("image", "mask") if self.has_masks else ("image",)
    decoders = {name: tfds.decode.SkipDecoding() for name in pictures}
    what = f"split {split} ({self.name.split('/')[0]}-{split}.array_record-*)"
    with self._readable(what):
      source = _Readable(self._builder().as_data_source(split, decoders=decoders), self, what)
      return _whole_split(source, ("image", "mask") if masks else ("image",), on_disk)

  @functools.cache  # noqa: B019 (data sets live as long as the process)
  def _builder(self):
    import tensorflow_datasets as tfds

    with self._readable("the description (dataset_info.json, features.json)"):
      return tfds.builder_from_directory(str(self.folder))

  @contextlib.contextmanager
  def _readable(self, what: str) -> Iterator[None]:
    """Turns any error from reading a damaged file inside the context into a UserError."""
    try:
      yield
    except (UserError, MemoryError):
      raise
    except Exception as error:  # TFDS raises errors of several libraries
      raise location.damaged(self.name, self.folder, what, error) from error


class _Readable:
  """A data source whose errors name the data set and the next step."""

  def __init__(self, source, dataset: Dataset, what: str):
    self._source, self._dataset, self._what = source, dataset, what

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, row: int) -> dict[str, Any]:
    with self._dataset._readable(self._what):
      return self._source[row]

  def __getitems__(self, rows: Sequence[int]) -> list[dict[str, Any]]:
    with self._dataset._readable(self._what):
      return self._source.__getitems__(rows)


def decode(
  encoded: bytes,
  size: tuple[int, int],
  resize: str,
  *,
  change: Callable[[np.ndarray], np.ndarray] | None = None,
  turn: bool = False,
) -> np.ndarray:
  """Decodes an image and resizes it with Pillow, as published code does.

  Args:
    encoded: Bytes of a picture in one of `picture.FORMATS`.
    size: (height, width) in pixels.
    resize: 'lanczos' or 'bilinear', both with antialiasing.
    change: Function applied to the decoded uint8 [h, w, 3] before the resize, such as a corruption.
    turn: Whether to apply the EXIF orientation; not needed for prepared data sets.

  Returns:
    uint8 [height, width, 3], RGB.

  Raises:
    UserError: `resize` is unknown, or the bytes cannot be decoded (`picture.PictureError`).
  """
  from PIL import Image

  from vireid_jax.data.prepared import picture

  filters = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}
  resampling = choose(resize, filters, said=f"config.data.resize = {resize!r}")
  image = picture.rgb(encoded, turn=turn)
  if change:
    image = Image.fromarray(change(np.asarray(image)))
  if image.size != (size[1], size[0]):
    image = image.resize((size[1], size[0]), resampling)
  return np.asarray(image)


def decode_mask(encoded: bytes, size: tuple[int, int]) -> np.ndarray:
  """Decodes a pedestrian mask and resizes it, leaving a soft border.

  Args:
    encoded: PNG bytes.
    size: (height, width) in pixels.

  Returns:
    uint8 [height, width, 1], 255 on the pedestrian, 128 halfway across the border.
  """
  from PIL import Image

  from vireid_jax.data.prepared import picture

  resized = picture.grey(encoded).resize((size[1], size[0]), Image.Resampling.BILINEAR)
  return np.asarray(resized)[..., None]


def _whole_split(source: _Readable, fields: Sequence[str], on_disk: bool) -> ImageSet:
  columns = {name: [] for name in ("identity", "camera", "modality", "name", "checksum")}
  pictures = {name: [] for name in fields}
  for start in range(0, len(source), CHUNK):
    for example in source.__getitems__(range(start, min(start + CHUNK, len(source)))):
      _append(columns, example)
      for name, kept in pictures.items():
        kept += [] if on_disk else [bytes(example[name])]
  if on_disk:
    pictures = {name: stored.whole(source, name) for name in pictures}
  checksums = np.asarray(columns.pop("checksum"), np.uint32)
  return ImageSet(Records(**columns), pictures["image"], pictures.get("mask"), checksums)


def _append(columns: dict[str, list], example: dict[str, Any]) -> None:
  for name in ("identity", "camera", "modality"):
    columns[name].append(example[name])
  columns["name"].append(_text(example["file_name"]))
  columns["checksum"].append(zlib.crc32(example["image"]))


def _text(value: Any) -> str:
  return value.decode() if isinstance(value, bytes) else str(value)
