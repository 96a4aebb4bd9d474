"""Backgrounds: each scene has its shapes, each camera its colours."""

import functools

import cv2
import numpy as np

from vireid_jax.common.records import INFRARED
from vireid_jax.data.synthetic.world import CAMERA_STREAM, SCENE_STREAM, WORLDS, random_stream

PANORAMA_HEIGHT, PANORAMA_WIDTH = 256, 768


@functools.lru_cache(maxsize=64)
def panorama(seed: int, world: str, camera: int) -> np.ndarray:
  """Returns the wide background of a camera, uint8 [256, 768, 3] or, in infrared, [256, 768].

  Cameras that share a scene share its shapes, but not its colours.
  """
  mount = WORLDS[world][camera]
  shapes = random_stream(seed, SCENE_STREAM, mount.scene)
  colours = random_stream(seed, CAMERA_STREAM, camera, 0)
  infrared = mount.modality == INFRARED
  canvas = np.zeros((PANORAMA_HEIGHT, PANORAMA_WIDTH, 3), np.uint8)
  palette = _Palette(colours, infrared, mount.outdoor)
  _draw_planes(canvas, shapes, palette)
  _draw_things(canvas, shapes, palette, mount.outdoor)
  canvas = _roughen(canvas, colours)
  return np.ascontiguousarray(canvas[..., 0]) if infrared else canvas


class _Palette:
  """Draws colours; each uses the same number of random draws in both modalities."""

  def __init__(self, generator: np.random.Generator, infrared: bool, outdoor: bool):
    self.generator, self.infrared = generator, infrared
    self.tint = generator.uniform(0.75, 1.0, 3)
    self.level = (40, 150) if infrared else ((60, 210) if outdoor else (80, 220))

  def draw(self) -> tuple[int, int, int]:
    value = self.generator.uniform(*self.level)
    colour = value * self.tint * self.generator.uniform(0.8, 1.1, 3)
    if self.infrared:
      colour[:] = value
    return tuple(int(channel) for channel in np.clip(colour, 0, 255))


def _draw_planes(canvas: np.ndarray, shapes: np.random.Generator, palette: _Palette) -> None:
  """Draws wall and ground, with a skirting board and the joints of the ground."""
  canvas[:] = palette.draw()
  horizon = int(shapes.integers(120, 190))
  canvas[horizon:] = palette.draw()
  joint = palette.draw()
  for _ in range(6):
    start, end = shapes.integers(0, PANORAMA_WIDTH, 2).tolist()
    cv2.line(canvas, (start, horizon), (3 * end - 2 * start, PANORAMA_HEIGHT), joint, 2)
  cv2.line(canvas, (0, horizon), (PANORAMA_WIDTH, horizon), palette.draw(), 4)


def _draw_things(
  canvas: np.ndarray, shapes: np.random.Generator, palette: _Palette, outdoor: bool
) -> None:
  """Draws doors, windows and pillars, and outdoors also trees."""
  for _ in range(int(shapes.integers(14, 24))):
    x, y, width, height = shapes.integers((0, 0, 14, 20), (PANORAMA_WIDTH, 170, 90, 150)).tolist()
    kind = shapes.integers(0, 4 if outdoor else 3)
    colour, edge = palette.draw(), palette.draw()
    if kind == 3:
      cv2.ellipse(canvas, (x, y), (width // 2 + 8, height // 3), 0, 0, 360, colour, -1, 8)
      cv2.line(canvas, (x, y), (x, y + height), edge, 6)
      continue
    if kind == 2:
      y, height, width = 0, PANORAMA_HEIGHT, width // 4 + 3
    cv2.rectangle(canvas, (x, y), (x + width, y + height), colour, -1)
    cv2.rectangle(canvas, (x, y), (x + width, y + height), edge, 2)
    if kind == 1:
      cv2.line(canvas, (x + width // 2, y), (x + width // 2, y + height), edge, 2)


def _roughen(canvas: np.ndarray, generator: np.random.Generator) -> np.ndarray:
  """Adds coarse and fine noise, so that no surface is uniform."""
  height, width = canvas.shape[:2]
  coarse = generator.integers(-18, 19, (16, 48)).astype(np.float32)
  fine = generator.integers(-10, 11, (height, width)).astype(np.float32)
  field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) + fine
  return np.clip(np.rint(canvas + field[..., None]), 0, 255).astype(np.uint8)


def crop(background: np.ndarray, generator: np.random.Generator, height: int, width: int):
  """Cuts a random window out of a panorama.

  Args:
    background: uint8 [256, 768(, 3)], panorama.
    generator: Random generator; draws the window.
    height: Height of the result in pixels.
    width: Width of the result in pixels.

  Returns:
    uint8 [height, width(, 3)].
  """
  rows = int(generator.integers(190, 250))
  columns = min(PANORAMA_WIDTH - 1, max(1, rows * width // height))
  bottom = PANORAMA_HEIGHT - int(generator.integers(0, PANORAMA_HEIGHT - rows + 1))
  left = int(generator.integers(0, PANORAMA_WIDTH - columns))
  window = background[bottom - rows : bottom, left : left + columns]
  return cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR)
