"""The TFDS builder that all data sets share: features, metadata, lossless image bytes."""

import io
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds

from vireid_jax.common import units
from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.records import MODALITIES
from vireid_jax.data import layout as layouts
from vireid_jax.data import regular_files
from vireid_jax.data.layout.common import Image
from vireid_jax.data.prepared import picture

_PASSED_THROUGH = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # how JPEG and PNG files begin


def features(*, masks: bool = False) -> tfds.features.FeaturesDict:
  """Returns the columns that every data set stores, with or without masks."""
  columns = {
    "image": tfds.features.Image(shape=(None, None, 3)),
    "identity": tfds.features.Scalar(np.int64),
    "camera": tfds.features.Scalar(np.int64),
    "modality": tfds.features.ClassLabel(names=list(MODALITIES)),
    "file_name": tfds.features.Text(),
  }
  if masks:
    columns["mask"] = tfds.features.Image(shape=(None, None, 1))
  return tfds.features.FeaturesDict(columns)


def encoded_mask(data: bytes, *, turn: bool = False) -> bytes:
  """Re-encodes a mask as a one-channel PNG, 255 where it is at least 128, else 0."""
  buffer = io.BytesIO()
  mask = picture.grey(data, turn=turn)
  mask.point(lambda level: 255 * (level >= 128)).save(buffer, "PNG")
  return buffer.getvalue()


def encoded(data: bytes, *, turn: bool = False) -> bytes:
  """Returns JPEG and PNG files unchanged, anything else (BMP) as a PNG of the same pixels.

  Args:
    data: Bytes of the file.
    turn: Whether to apply an EXIF orientation, which stores the turned pixels as PNG.
  """
  if data.startswith(_PASSED_THROUGH) and not (turn and is_turned(data)):
    return data
  buffer = io.BytesIO()
  picture.rgb(data, turn=turn).save(buffer, "PNG")
  return buffer.getvalue()


def is_turned(data: bytes) -> bool:
  """Returns whether a picture has an EXIF orientation that turns it."""
  with picture.open_picture(data) as opened:
    return picture.orientation(opened) != 1


def example(data: bytes, image: Image, mask: bytes | None = None) -> dict:
  """Returns the stored columns of one image, given its encoded bytes and its mask's."""
  columns = {
    "image": data,
    "identity": image.identity,
    "camera": image.camera,
    "modality": image.modality,
    "file_name": image.file_name,
  }
  return columns if mask is None else {**columns, "mask": mask}


def info(
  builder: tfds.core.DatasetBuilder, homepage: str, *, masks: bool = False
) -> tfds.core.DatasetInfo:
  """Returns the data set's description; its metadata is filled in while images are stored."""
  return builder.dataset_info_from_configs(
    features=features(masks=masks),
    homepage=homepage,
    metadata=tfds.core.MetadataDict(),
    disable_shuffling=True,  # evaluations refer to images by their order in the layout
  )


class LayoutBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Stores the images of a folder in its owner's layout.

  A subclass sets the name of its reader and its homepage.

  Attributes:
    layout: Layout to store; None to read `manual_dir`. The prepare command sets the one that it has
      already checked.
    masks: Whether to store each image's mask too. TFDS fixes the columns before the folder is read,
      so the caller has to decide.
    on_image: Function called after each stored image, for a progress bar.
  """

  VERSION = tfds.core.Version("1.0.0")
  READER: str
  HOMEPAGE: str

  layout: layouts.Layout | None = None
  masks: bool = False
  on_image: Callable[[], object] = staticmethod(lambda: None)

  def __init__(self, *, masks: bool | None = None, **options):
    self.masks = type(self).masks if masks is None else masks
    super().__init__(**options)

  def _info(self) -> tfds.core.DatasetInfo:
    return info(self, self.HOMEPAGE, masks=self.masks)

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    layout = self.layout or self._listing(dl_manager)
    self.info.metadata.update({**layout.metadata, **units.entry(units.PREPARED)})
    if any(image.turn for image in layout.images):
      self.info.metadata["turned"] = []
    # Lists, because generators would run after this loop and all see the last split.
    images = {split: [i for i in layout.images if i.split == split] for split in layout.splits}
    return {split: self._generate_examples(images[split]) for split in layout.splits}

  def _generate_examples(self, images: Sequence[Image]) -> Iterator[tuple[int, dict]]:
    for key, (data, image) in enumerate(zip(self._bytes(images), images, strict=True)):
      yield key, example(data[0], image, data[1])
      self.on_image()

  def _listing(self, dl_manager) -> layouts.Layout:
    return layouts.read(self.READER, pathlib.Path(dl_manager.manual_dir))

  def _bytes(self, images: Sequence[Image]) -> Iterator[tuple[bytes, bytes | None]]:
    """Yields the encoded bytes of each image and of its mask, in order."""
    for image in images:
      data = _read(image.path, image)
      if image.turn and is_turned(data):
        self.info.metadata["turned"].append(image.file_name)
      mask = _read(image.mask, image) if self.masks else None
      yield (
        encoded(data, turn=image.turn),
        None if mask is None else encoded_mask(mask, turn=image.turn),
      )


def _read(path: pathlib.Path, image: Image) -> bytes:
  try:
    return regular_files.read_bytes(path)
  except OSError as error:  # it existed when it was checked
    raise UserError(
      f"{printable(image.file_name)} can no longer be read: {error.strerror or error}. Nothing was "
      "written; run the command again once the files no longer change"
    ) from error
