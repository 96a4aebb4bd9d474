"""Scalars and pictures as event files of TensorBoard, if tensorboardX is installed."""

import pathlib
from collections.abc import Mapping

import numpy as np

from vireid_jax.common import appended, workdir_files


class TensorBoard:
  """Writes event files; see `hooks.Hook`."""

  def __init__(self, writer, mirror: appended.Mirror):
    """Wraps a `tensorboardX.SummaryWriter`, and the folder that it writes."""
    self._writer, self._mirror = writer, mirror

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Writes the scalars of a step and flushes."""
    for name, value in values.items():
      self._writer.add_scalar(name, value, step)
    self._writer.flush()
    self._mirror.update()

  def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
    """Writes pictures, uint8 [h, w, 3], and flushes."""
    for name, pixels in pictures.items():
      self._writer.add_image(name, pixels, step, dataformats="HWC")
    self._writer.flush()
    self._mirror.update()

  def close(self) -> None:
    """Closes the event file."""
    self._writer.close()
    self._mirror.close()


def open_hook(workdir: pathlib.Path) -> TensorBoard | None:
  """Opens an event file in a workdir; None without tensorboardX, which is optional."""
  try:
    from tensorboardX import SummaryWriter
  except ImportError:
    return None
  mirror = appended.Mirror(workdir / workdir_files.TENSORBOARD)
  return TensorBoard(SummaryWriter(str(mirror.folder)), mirror)
