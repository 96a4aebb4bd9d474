"""Reading prepared data sets: which images there are, and their bytes."""

import dataclasses
import functools
import io
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vireid_jax.data.location import dataset_folder, prepare_command
from vireid_jax.data.schema import Records
from vireid_jax.errors import UserError, nearest

METADATA_FILE = "metadata.json"


@dataclasses.dataclass(frozen=True)
class ImageSet:
  """Some images of a data set, encoded as the owner stored them.

  Attributes:
    records: what is known of each image.
    encoded: JPEG or PNG bytes of each image, in the same order.
    masks: PNG bytes of each image's pedestrian mask; None where they were not asked for.
  """

  records: Records
  encoded: Sequence[bytes]
  masks: Sequence[bytes] | None = None

  def __len__(self) -> int:
    return len(self.records)

  def take(self, rows: np.ndarray) -> "ImageSet":
    """Returns the images at `rows` (int [m])."""
    masks = None if self.masks is None else [self.masks[row] for row in rows]
    return ImageSet(self.records.take(rows), [self.encoded[row] for row in rows], masks)


class Dataset:
  """A prepared data set on disk.

  Attributes:
    name: as prepared, for example 'regdb' or 'vireid_synthetic/quick'.
    folder: of the newest prepared version.
    metadata: what the builder recorded beside the images: 'synthetic', 'subsets', ...
  """

  def __init__(self, name: str, data_dir: str | pathlib.Path | None = None):
    """Opens the newest prepared version.

    Args:
      name: data set, with its configuration where it has one.
      data_dir: the root of all prepared data sets; empty for the default.

    Raises:
      UserError: nothing is prepared there; names the command that prepares it.
    """
    self.name = name
    self.folder = dataset_folder(name, data_dir or None)
    path = self.folder / METADATA_FILE
    self.metadata: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

  @property
  def is_synthetic(self) -> bool:
    """Whether the images are rendered, so that results must be called synthetic."""
    return bool(self.metadata.get("synthetic"))

  @property
  def subsets(self) -> dict[str, Any]:
    """Named parts of a split by identity, for data sets that are split several ways."""
    return self.metadata.get("subsets") or {}

  def part_names(self) -> list[str]:
    """Returns what `load` accepts: the splits and the named subsets."""
    return [*self._builder().info.splits, *self.subsets]

  def load(self, *parts: str, masks: bool = False) -> ImageSet:
    """Reads the records and encoded images of splits or subsets, one after the other.

    Args:
      *parts: see `part_names`.
      masks: read the pedestrian masks too.

    Raises:
      UserError: for an unknown part, parts that hold no image, or masks that were not prepared.
    """
    if masks and not self.has_masks:
      raise UserError(
        f"data set {self.name} in {self.folder} has no masks. Put one per image below masks/ beside"
        " the owner's files (docs/datasets.md) and prepare it again:\n  "
        f"{prepare_command(self.name)} --overwrite\nor choose another source of the region"
      )
    loaded = [self._load_part(part, masks) for part in parts]
    records = Records(
      **{
        field.name: np.concatenate([getattr(part.records, field.name) for part in loaded])
        for field in dataclasses.fields(Records)
      }
    )
    if not len(records):
      raise UserError(f"{' + '.join(parts)} of {self.name} in {self.folder} hold no image")
    encoded = [image for part in loaded for image in part.encoded]
    return ImageSet(
      records, encoded, [mask for part in loaded for mask in part.masks] if masks else None
    )

  @property
  def has_masks(self) -> bool:
    """Whether a pedestrian mask was stored with each image."""
    return "mask" in self._builder().info.features

  def _load_part(self, part: str, masks: bool) -> ImageSet:
    if part in self.subsets:
      subset = self.subsets[part]
      whole = self._load_split(subset["split"], masks)
      return whole.take(np.flatnonzero(np.isin(whole.records.identity, subset["identities"])))
    if part not in self._builder().info.splits:
      raise UserError(
        f"data set {self.name} has no part {part!r}; {nearest(part, self.part_names())}"
      )
    return self._load_split(part, masks)

  def _load_split(self, split: str, masks: bool) -> ImageSet:
    import tensorflow_datasets as tfds

    pictures = ("image", "mask") if self.has_masks else ("image",)
    decoders = {name: tfds.decode.SkipDecoding() for name in pictures}
    source = self._builder().as_data_source(split, decoders=decoders)
    examples = source.__getitems__(range(len(source)))
    records = Records(
      identity=[example["identity"] for example in examples],
      camera=[example["camera"] for example in examples],
      modality=[example["modality"] for example in examples],
      name=[_text(example["file_name"]) for example in examples],
    )
    return ImageSet(
      records,
      [bytes(example["image"]) for example in examples],
      [bytes(example["mask"]) for example in examples] if masks else None,
    )

  @functools.cache  # noqa: B019 (data sets live as long as the process)
  def _builder(self):
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(str(self.folder))


def decode(
  encoded: bytes,
  size: tuple[int, int],
  resize: str,
  *,
  change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
  """Decodes an image and resizes it as PIL does, which is how the field's codes do it.

  Args:
    encoded: JPEG or PNG.
    size: (height, width).
    resize: 'lanczos' or 'bilinear', both with antialiasing.
    change: applied to the decoded uint8 [h, w, 3] before the resize, such as a corruption.

  Returns:
    uint8 [height, width, 3], RGB.
  """
  from PIL import Image

  filters = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}
  if resize not in filters:
    raise UserError(f"config.data.resize = {resize!r}; {nearest(resize, filters)}")
  with Image.open(io.BytesIO(encoded)) as image:
    image = image.convert("RGB")
    if change:
      image = Image.fromarray(change(np.asarray(image)))
    if image.size != (size[1], size[0]):
      image = image.resize((size[1], size[0]), filters[resize])
    return np.asarray(image)


def decode_mask(encoded: bytes, size: tuple[int, int]) -> np.ndarray:
  """Decodes a pedestrian mask and resizes it, so that its soft border is 128 halfway.

  Args:
    encoded: PNG.
    size: (height, width).

  Returns:
    uint8 [height, width, 1], 255 on the pedestrian.
  """
  from PIL import Image

  with Image.open(io.BytesIO(encoded)) as image:
    resized = image.convert("L").resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized)[..., None]


def _text(value: Any) -> str:
  return value.decode() if isinstance(value, bytes) else str(value)
