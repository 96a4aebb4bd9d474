"""Renders one image of one synthetic pedestrian."""

import dataclasses
import math

import cv2
import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.data.synthetic.appearance import FAR, draw_appearance, shift_tones
from vireid_jax.data.synthetic.figure import draw_person
from vireid_jax.data.synthetic.pen import View
from vireid_jax.data.synthetic.photo import Lens, expose, lens, relief
from vireid_jax.data.synthetic.scene import crop, panorama
from vireid_jax.data.synthetic.world import IMAGE_STREAM, WorldSpec, random_stream

DRAWN_HEIGHT = 256  # least height at which the figure is drawn, before it is averaged down
PASSER_OFFSET = 2 * FAR  # index-map values of a second person
OBSTACLES = 4 * FAR  # index-map values of obstacles
STRANGERS = 1_000_000  # identity numbers from here on are passers-by


@dataclasses.dataclass(frozen=True)
class Rendered:
  """One image and its ground truth.

  Attributes:
    image: uint8 [h, w, 3], RGB; the three channels are equal in infrared.
    mask: uint8 [h, w], 255 where the person or something the person carries is visible, else 0.
  """

  image: np.ndarray
  mask: np.ndarray


def render(spec: WorldSpec, identity: int, camera: int, index: int) -> Rendered:
  """Renders an image; a pure function of its arguments.

  Args:
    spec: The world.
    identity: Any number >= 0; the data set has those in `spec.identities()`.
    camera: Camera number, a key of `spec.mounts`.
    index: Number of the image of this identity in this camera, from 1.

  Returns:
    Image and mask at (spec.image_height, spec.image_width).

  Raises:
    UserError: The world has no such camera.
  """
  if camera not in spec.mounts:
    known = ", ".join(map(str, sorted(spec.mounts)))
    raise UserError(f"world {spec.world!r} has no camera {camera}; it has {known}")
  generator = random_stream(spec.seed, IMAGE_STREAM, identity, camera, index)
  look = lens(spec.seed, spec.world, camera)
  factor = max(2, math.ceil(DRAWN_HEIGHT / spec.image_height))
  canvas = np.zeros((spec.image_height * factor, spec.image_width * factor), np.uint8)
  palette = _draw(canvas, spec, identity, look, generator)
  size = (spec.image_width, spec.image_height)
  figure = cv2.resize(_paint(canvas, palette), size, interpolation=cv2.INTER_AREA)
  alpha = cv2.resize(_where(canvas, 1, 256), size, interpolation=cv2.INTER_AREA)
  mask = cv2.resize(_where(canvas, 1, PASSER_OFFSET), size, interpolation=cv2.INTER_AREA)
  background = crop(panorama(spec.seed, spec.world, camera), generator, *size[::-1])
  figure = figure.reshape(spec.image_height, spec.image_width, -1).astype(np.float32)
  clear = (1 - alpha.astype(np.float32) / 255)[..., None]
  picture = figure * relief(alpha, generator)[..., None]
  picture += background.reshape(figure.shape) * clear
  image = expose(picture, look, generator, spec.degradation)
  return Rendered(image, np.where(mask >= 128, np.uint8(255), np.uint8(0)))


def _draw(
  canvas: np.ndarray, spec: WorldSpec, identity: int, look: Lens, generator: np.random.Generator
) -> np.ndarray:
  """Draws people and obstacles into the index map; returns the palette, uint8 [256(, 3)]."""
  person = draw_appearance(spec.seed, identity, spec.infrared_texture)
  palette = np.zeros((256,) if look.infrared else (256, 3), np.uint8)
  own = person.infrared if look.infrared else person.visible
  palette[: 2 * FAR] = shift_tones(own, generator, spec.tone_shift)
  view = _view(canvas.shape, person.umbrella, spec, look, generator)
  hidden = generator.random() < spec.occlusion
  kind = generator.integers(0, 4)
  passer = draw_appearance(
    spec.seed, STRANGERS + int(generator.integers(0, 500)), spec.infrared_texture
  )
  beside = _passer_view(canvas.shape, view, generator)
  if hidden and kind == 3:
    draw_person(canvas, passer, beside, PASSER_OFFSET)
  _draw_over(canvas, person, view)
  if hidden and kind == 2:
    draw_person(canvas, passer, beside, PASSER_OFFSET)
  elif hidden and kind < 2:
    _draw_obstacle(canvas, int(kind), generator)
  palette[PASSER_OFFSET : 4 * FAR] = passer.infrared if look.infrared else passer.visible
  palette[OBSTACLES:] = generator.integers(30, 200, palette[0].shape)
  return palette


def _draw_over(canvas: np.ndarray, person, view: View) -> None:
  """Draws the person over the canvas; on a separate one first, as patterns need."""
  own = np.zeros_like(canvas)
  draw_person(own, person, view)
  np.copyto(canvas, own, where=own > 0)


def _view(shape, umbrella: bool, spec: WorldSpec, look: Lens, generator) -> View:
  """Draws pose and box. Most people walk in the camera's usual direction."""
  rows, columns = shape
  g, pose, fit = generator, spec.pose, spec.misalignment
  turn = g.normal(0, 0.4 * pose)
  heading = look.heading + turn if g.random() < 0.7 else g.uniform(0, 2 * math.pi)
  if g.random() < 0.4:
    heading += math.pi
  height = rows * (0.9 - fit * float(g.uniform(-0.05, 0.14))) * (0.88 if umbrella else 1.0)
  slack = rows - height
  top = slack * (0.9 if umbrella else 0.5) + rows * fit * float(g.uniform(-0.04, 0.04))
  return View(
    heading=float(heading),
    stride=float(math.sin(g.uniform(0, 2 * math.pi)) * min(1.4, 0.9 * pose)),
    swing=float(g.uniform(0.3, 1.2)) * pose,
    lean=float(g.uniform(-0.06, 0.06)) * pose,
    taper=look.elevation * float(g.uniform(0.5, 1.5)),
    elevation=look.elevation * 0.5,
    centre=columns * (0.5 + fit * float(g.uniform(-0.08, 0.08))),
    top=top,
    height=height,
  )


def _passer_view(shape, view: View, generator) -> View:
  """Puts a second person to the side of the first."""
  rows, columns = shape
  side = float(generator.choice((-1, 1))) * float(generator.uniform(0.3, 0.55))
  return dataclasses.replace(
    view,
    heading=float(generator.uniform(0, 2 * math.pi)),
    stride=float(generator.uniform(-1, 1)),
    centre=view.centre + side * columns,
    top=view.top + rows * float(generator.uniform(-0.05, 0.08)),
  )


def _draw_obstacle(canvas: np.ndarray, kind: int, generator: np.random.Generator) -> None:
  """Draws a pole (kind 0), or a box that hides the legs (kind 1)."""
  rows, columns = canvas.shape
  if kind == 0:
    width = columns * float(generator.uniform(0.08, 0.2))
    left = columns * float(generator.uniform(0.1, 0.8))
    corners = ((left, 0), (left + width, rows))
  else:
    left = columns * float(generator.uniform(-0.3, 0.5))
    corners = ((left, rows * float(generator.uniform(0.62, 0.85))), (left + columns * 0.8, rows))
  start, end = ((round(x), round(y)) for x, y in corners)
  cv2.rectangle(canvas, start, end, OBSTACLES + 1, -1)
  cv2.rectangle(canvas, start, end, OBSTACLES + 2, max(1, rows // 100))


def _paint(canvas: np.ndarray, palette: np.ndarray) -> np.ndarray:
  """Looks up every index; ten times faster than NumPy's indexing."""
  if palette.ndim == 1:
    return cv2.LUT(canvas, palette)
  return cv2.applyColorMap(canvas, palette[:, None])


def _where(canvas: np.ndarray, low: int, high: int) -> np.ndarray:
  """Returns 255 where low <= index < high, uint8."""
  table = np.zeros(256, np.uint8)
  table[low:high] = 255
  return cv2.LUT(canvas, table)
