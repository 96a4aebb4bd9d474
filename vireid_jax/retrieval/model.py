"""A trained network for notebooks and programs: pictures in, features and ranked lists out."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from vireid_jax.common.errors import UserError, choose
from vireid_jax.common.records import MODALITIES
from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.retrieval import pictures as pictures_lib
from vireid_jax.retrieval.exported import Exported, is_export, open_export
from vireid_jax.retrieval.searcher import Ranking, Searcher
from vireid_jax.retrieval.trained import Trained, restore

BATCH = 64


@dataclasses.dataclass(frozen=True)
class Embedded:
  """Features of the pictures in a folder.

  Attributes:
    names: paths relative to the folder, sorted.
    features: float32 [n, d], in their order.
    skipped: the reason by name of each file that could not be used.
  """

  names: list[str]
  features: np.ndarray
  skipped: dict[str, str]


class Model:
  """The retrieval function of a checkpoint or of an export.

  Features are the method's own, that is what its evaluation ranks by, scaled to unit length
  unless `normalize` is off; their scalar product then is the cosine similarity.
  """

  def __init__(self, trained: Trained | Exported, *, normalize: bool = True, batch: int = BATCH):
    """Compiles nothing yet.

    Args:
      trained: from `restore` or `open_export`.
      normalize: scale features to unit length.
      batch: pictures per step at most; fewer are padded to the next power of two.
    """
    if batch < 1:
      raise UserError(f"batch is {batch}; it must be at least 1")
    self.trained, self.normalize, self.batch = trained, normalize, batch
    self._functions: dict[int, Callable[[np.ndarray, str], np.ndarray]] = {}

  @property
  def image_size(self) -> tuple[int, int]:
    """(height, width) that pictures are resized to."""
    return self.trained.image_size

  @property
  def feature(self) -> str:
    """Which of the method's features this is: 'after_neck', 'before_neck' or 'feature'."""
    return self.trained.feature

  @property
  def method(self) -> str:
    """The method's name."""
    return self.trained.method_name

  @property
  def feature_size(self) -> int:
    """Dimensions of a feature."""
    return self.trained.feature_size

  def fingerprint(self) -> str:
    """Returns hex digits that change with the checkpoint and whatever else decides a feature."""
    return f"{self.trained.fingerprint()}-{self.feature}-{'unit' if self.normalize else 'raw'}"

  def embed(self, pictures, modality: str, *, progress: bool = False) -> np.ndarray:
    """Embeds pictures, in the order given.

    Args:
      pictures: a path or several; a folder, whose pictures come in the order of their sorted paths
        (`embed_folder` gives the names too); or decoded pictures, uint8: one [h, w, 3], a batch
        [n, h, w, 3] or a list of any sizes. They are resized as in training.
      modality: 'visible' or 'infrared': the camera that took them.
      progress: show a bar.

    Returns:
      float32 [n, d].

    Raises:
      UserError: an unknown modality, a picture that cannot be read, or features not finite.
    """
    check_modality(modality)
    items = _as_list(pictures)
    if len(items) == 1 and _is_folder(items[0]):
      root = pathlib.Path(items[0]).expanduser()
      items = [root / name for name in pictures_lib.find(root)[0]]
      if not items:
        raise UserError(f"{root} holds no file; name a folder of pictures")
    if items and isinstance(items[0], str | os.PathLike):
      features, skipped = self.embed_files(items, modality, progress=progress)
      if skipped:
        row, reason = next(iter(skipped.items()))
        raise UserError(
          f"{len(skipped)} of {len(items)} pictures cannot be embedded; {items[row]}: {reason}. "
          "embed_folder skips such files and names them"
        )
      return features
    read = [pictures_lib.from_array(item, self.image_size, self._resize) for item in items]
    starts = range(0, len(read), self._size(len(read)))
    return self._join(
      [self._embed(read[s : s + self._size(len(read))], modality, len(read)) for s in starts]
    )

  def embed_folder(
    self, folder: str | os.PathLike, modality: str, *, progress: bool = False
  ) -> Embedded:
    """Embeds every picture below a folder; files that are none, or are damaged, are skipped.

    Args:
      folder: searched recursively; see `pictures.find`. A single file will do.
      modality: 'visible' or 'infrared', of all pictures.
      progress: show a bar.

    Raises:
      UserError: no such folder, or features that are not finite.
    """
    check_modality(modality)
    names, refused = pictures_lib.find(folder)
    root = pictures_lib.folder_of(folder)
    features, skipped = self.embed_files(
      [root / name for name in names], modality, progress=progress
    )
    kept = [name for row, name in enumerate(names) if row not in skipped]
    return Embedded(kept, features, refused | {names[row]: why for row, why in skipped.items()})

  def embed_files(
    self, paths: Sequence, modality: str, *, progress: bool = False
  ) -> tuple[np.ndarray, dict[int, str]]:
    """Embeds the files that are pictures.

    Args:
      paths: of the files.
      modality: 'visible' or 'infrared'.
      progress: show a bar.

    Returns:
      float32 [m, d] of the pictures in their order, and the reason by position of each other file.
    """
    from tqdm import tqdm

    paths = [pathlib.Path(path).expanduser() for path in paths]
    size, found, skipped = self._size(len(paths)), [], {}
    batches = pictures_lib.read_batches(paths, self.image_size, self._resize, size)
    hidden = None if progress else True  # None: hidden off a terminal
    with tqdm(total=len(paths), desc="embed", unit="file", disable=hidden) as bar:
      for rows, pixels, reasons in batches:
        if pixels:
          found.append(self._embed(pixels, modality, len(paths)))
        skipped |= reasons
        bar.update(len(rows) + len(reasons))
    return self._join(found), skipped

  def rank(self, query_features, gallery_features, *, top: int = 10) -> Ranking:
    """Ranks the gallery for each query by cosine similarity, or by distance where `normalize` is
    off.

    Args:
      query_features: float [q, d] or [d]; or what `embed_folder` returned.
      gallery_features: float [n, d]; or what `embed_folder` returned; or a `Searcher`, which checks
        and normalises a large gallery once instead of at each call.
      top: length of the lists.

    Returns:
      `rows` int64 [q, k] of the gallery, best first, and `similarity` float32 [q, k]; k is `top`,
      or less in a smaller gallery.

    Raises:
      UserError: features of another width, not finite, or an empty gallery.
    """
    if not isinstance(gallery_features, Searcher):
      gallery_features = self.searcher(_features_of(gallery_features))
    return gallery_features(_features_of(query_features), top=top)

  def searcher(self, gallery_features: np.ndarray) -> Searcher:
    """Returns a gallery that many queries may be ranked against."""
    return Searcher(gallery_features, normalize=self.normalize)

  @property
  def _resize(self) -> str:
    return self.trained.resize

  def _size(self, count: int) -> int:
    """Returns the batch that `count` pictures are embedded in: one compiled shape for all."""
    return min(self.batch, 1 << max(count - 1, 0).bit_length())

  def _embed(self, pixels: list[np.ndarray], modality: str, count: int) -> np.ndarray:
    """Embeds one batch of `count` pictures in all, uint8 [h, w, 3] each."""
    features = self._function(self._size(count))(np.stack(pixels), modality)
    if not np.isfinite(features).all():
      raise UserError(
        f"checkpoint {self.trained.step} in {self.trained.folder} gives features that are not "
        "finite; the network has probably diverged, use an earlier --step"
      )
    return l2_normalize(features) if self.normalize else features

  def _function(self, size: int) -> Callable[[np.ndarray, str], np.ndarray]:
    if size not in self._functions:
      self._functions[size] = self.trained.feature_function(size)
    return self._functions[size]

  def _join(self, features: list[np.ndarray]) -> np.ndarray:
    empty = np.empty((0, self.feature_size), np.float32) if not features else None
    return empty if empty is not None else np.concatenate(features).astype(np.float32, copy=False)


def load(
  checkpoint: str | os.PathLike,
  *,
  step: int | None = None,
  normalize: bool = True,
  batch: int = BATCH,
) -> Model:
  """Reads a checkpoint or an export for use; see `vireid_jax.load`."""
  folder = pathlib.Path(checkpoint).expanduser()
  trained = (
    open_export(folder, step=step, normalize=normalize)
    if is_export(folder)
    else restore(folder, step=step)
  )
  return Model(trained, normalize=normalize, batch=batch)


def check_modality(modality: str) -> None:
  """Raises UserError for anything but 'visible' and 'infrared'."""
  choose(modality, MODALITIES, "modality")


def _is_folder(item) -> bool:
  return isinstance(item, str | os.PathLike) and pathlib.Path(item).expanduser().is_dir()


def _features_of(found):
  return found.features if isinstance(found, Embedded) else found


def _as_list(pictures) -> list:
  if isinstance(pictures, str | os.PathLike):
    return [pictures]
  if isinstance(pictures, np.ndarray):
    return list(pictures) if pictures.ndim == 4 else [pictures]
  if isinstance(pictures, Iterable):
    return list(pictures)
  raise UserError(f"cannot embed a {type(pictures).__name__}; give paths or uint8 arrays")
