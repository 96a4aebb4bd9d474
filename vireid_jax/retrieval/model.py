"""A trained network for notebooks and programs: from pictures to features and ranked lists."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from vireid_jax.common import paths as paths_lib
from vireid_jax.common import progress as progress_lib
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
    names: Paths relative to the folder, sorted.
    features: float32 [n, d], in the order of the names.
    skipped: Reason by name of each file that could not be used.
  """

  names: list[str]
  features: np.ndarray
  skipped: dict[str, str]


class Model:
  """The retrieval function of a checkpoint or an export.

  Features are those that the method's evaluation ranks by. They are scaled to unit length unless
  `normalize` is off, so that their dot product is the cosine similarity.
  """

  def __init__(self, trained: Trained | Exported, *, normalize: bool = True, batch: int = BATCH):
    """Prepares the model; functions are compiled when first needed.

    Args:
      trained: Output of `restore` or `open_export`.
      normalize: Whether to scale features to unit length.
      batch: Maximum number of pictures per step; fewer are padded to the next power of two.
    """
    if batch < 1:
      raise UserError(f"batch is {batch}; it must be at least 1")
    self.trained, self.normalize, self.batch = trained, normalize, batch
    self._functions: dict[int, Callable[[np.ndarray, str], np.ndarray]] = {}

  @property
  def image_size(self) -> tuple[int, int]:
    """(height, width) to which pictures are resized."""
    return self.trained.image_size

  @property
  def feature(self) -> str:
    """Name of the feature: 'after_neck', 'before_neck' or 'feature'."""
    return self.trained.feature

  @property
  def method(self) -> str:
    """Name of the method."""
    return self.trained.method_name

  @property
  def feature_size(self) -> int:
    """Number of dimensions of a feature."""
    return self.trained.feature_size

  def fingerprint(self) -> str:
    """Returns a text that changes with the checkpoint and any setting that affects features."""
    return f"{self.trained.fingerprint()}-{self.feature}-{'unit' if self.normalize else 'raw'}"

  def embed(self, pictures, modality: str, *, progress: bool = False) -> np.ndarray:
    """Embeds pictures, in the order given.

    Args:
      pictures: One path or several; a folder, whose pictures are sorted by path (`embed_folder`
        returns the names too); or decoded pictures, uint8: one [h, w, 3], a batch [n, h, w, 3] or a
        list with any sizes. They are resized as in training.
      modality: Modality of all pictures, 'visible' or 'infrared'.
      progress: Whether to show a progress bar.

    Returns:
      float32 [n, d].

    Raises:
      UserError: The modality is unknown, a picture cannot be read, or a feature is not finite.
    """
    check_modality(modality)
    items = _as_list(pictures)
    if len(items) == 1 and _is_folder(items[0]):
      root = paths_lib.local(items[0])
      items = [root / name for name in pictures_lib.find(root)[0]]
      if not items:
        raise UserError(f"{root} has no files; give a folder of pictures")
    if items and isinstance(items[0], str | os.PathLike):
      features, skipped = self.embed_files(items, modality, progress=progress)
      if skipped:
        row, reason = next(iter(skipped.items()))
        raise UserError(
          f"{len(skipped)} of {len(items)} pictures cannot be embedded; {items[row]}: {reason}. "
          "embed_folder skips such files and lists them"
        )
      return features
    read = [pictures_lib.from_array(item, self.image_size, self._resize) for item in items]
    starts = range(0, len(read), self.batch_size(len(read)))
    return self._join(
      [self._embed(read[s : s + self.batch_size(len(read))], modality, len(read)) for s in starts]
    )

  def embed_folder(
    self, folder: str | os.PathLike, modality: str, *, progress: bool = False
  ) -> Embedded:
    """Embeds all pictures in a folder; other files and damaged pictures are skipped.

    Args:
      folder: Folder, searched recursively, or a single file; see `pictures.find`.
      modality: Modality of all pictures, 'visible' or 'infrared'.
      progress: Whether to show a progress bar.

    Raises:
      UserError: The folder does not exist, or a feature is not finite.
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
    self,
    paths: Sequence,
    modality: str,
    *,
    progress: bool = False,
    total: int | None = None,
  ) -> tuple[np.ndarray, dict[int, str]]:
    """Embeds those files that are pictures.

    Args:
      paths: Paths of the files.
      modality: Modality of all pictures, 'visible' or 'infrared'.
      progress: Whether to show a progress bar.
      total: Number of files of which these are a part, which sets the size of a batch; default all.

    Returns:
      float32 [m, d], in order, of the pictures; and the reason by position of each skipped file.
    """
    paths = [paths_lib.local(path) for path in paths]
    total = len(paths) if total is None else total
    size, found, skipped = self.batch_size(total), [], {}
    batches = pictures_lib.read_batches(paths, self.image_size, self._resize, size)
    shown = progress_lib.show if progress else progress_lib.part
    with shown("embedding", len(paths), "file") as activity:
      for rows, pixels, reasons in batches:
        if pixels:
          found.append(self._embed(pixels, modality, total))
        skipped |= reasons
        activity.advance(len(rows) + len(reasons))
    return self._join(found), skipped

  def rank(self, query_features, gallery_features, *, top: int = 10) -> Ranking:
    """Ranks the gallery for each query by cosine similarity, or by distance if `normalize` is off.

    Args:
      query_features: float [q, d] or [d], or the output of `embed_folder`.
      gallery_features: float [n, d], or the output of `embed_folder`, or a `Searcher`, which checks
        and normalises a large gallery only once.
      top: Length of the lists.

    Returns:
      `rows` int64 [q, k] of the gallery, best first, and `similarity` float32 [q, k]; k is `top`,
      or the size of a smaller gallery.

    Raises:
      UserError: Features differ in width or are not finite, or the gallery is empty.
    """
    if not isinstance(gallery_features, Searcher):
      gallery_features = self.searcher(_features_of(gallery_features))
    return gallery_features(_features_of(query_features), top=top)

  def searcher(self, gallery_features: np.ndarray) -> Searcher:
    """Returns a gallery that is prepared for many queries."""
    return Searcher(gallery_features, normalize=self.normalize)

  @property
  def _resize(self) -> str:
    return self.trained.resize

  def batch_size(self, count: int) -> int:
    """Returns the batch size for `count` pictures; one compiled shape serves all of them."""
    return min(self.batch, 1 << max(count - 1, 0).bit_length())

  def _embed(self, pixels: list[np.ndarray], modality: str, count: int) -> np.ndarray:
    """Embeds one batch, uint8 [h, w, 3] each, of `count` pictures in total."""
    features = self._function(self.batch_size(count))(np.stack(pixels), modality)
    if not np.isfinite(features).all():
      raise UserError(
        f"checkpoint {self.trained.step} in {self.trained.folder} gives features that are not "
        "finite; the network has probably diverged. Use an earlier --step"
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
  """Loads a checkpoint or an export; see `vireid_jax.load`."""
  folder = paths_lib.path(checkpoint)
  trained = (
    open_export(folder, step=step, normalize=normalize)
    if is_export(folder)
    else restore(folder, step=step)
  )
  return Model(trained, normalize=normalize, batch=batch)


def check_modality(modality: str) -> None:
  """Raises UserError unless `modality` is 'visible' or 'infrared'."""
  choose(modality, MODALITIES, "modality")


def _is_folder(item) -> bool:
  return isinstance(item, str | os.PathLike) and paths_lib.local(item).is_dir()


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
