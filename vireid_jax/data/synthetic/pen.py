"""Draws shapes, given in body coordinates, into an index map."""

import dataclasses
import math

import cv2
import numpy as np

from vireid_jax.data.synthetic.appearance import FAR

SHIFT = 4  # fractional bits of cv2's fixed-point coordinates
Point = tuple[float, float, float]  # across (person's left), forward, down; in body heights


@dataclasses.dataclass(frozen=True)
class View:
  """Pose and position of a person in one image.

  Attributes:
    heading: Direction of walking in radians; 0 is towards the camera, pi/2 to the right, pi away.
    stride: Phase of the gait in [-1, 1], times its strength.
    swing: Strength of the arms' swing.
    lean: Sideways tilt of the body, as a slope.
    taper: How much larger the upper body appears than the lower, as seen from above.
    elevation: How much lower nearer points appear in the image.
    centre: Column of the body's axis, in pixels of the index map.
    top: Row of the top of the head, in the same pixels.
    height: Height of the body, in the same pixels.
  """

  heading: float
  stride: float
  swing: float
  lean: float
  taper: float
  elevation: float
  centre: float
  top: float
  height: float


class Pen:
  """Projects points of a person and fills shapes with a material."""

  def __init__(self, canvas: np.ndarray, view: View, offset: int = 0):
    """Prepares the projection.

    Args:
      canvas: uint8 [h, w], index map of material numbers, changed in place.
      view: Pose and position.
      offset: Added to every material number.
    """
    self.canvas, self.view, self.offset = canvas, view, offset
    self.cos, self.sin = math.cos(view.heading), math.sin(view.heading)

  def project(self, point: Point) -> tuple[float, float]:
    """Returns the (column, row) of a body point."""
    across, forward, down = point
    view = self.view
    column = across * self.cos + forward * self.sin
    toward = forward * self.cos - across * self.sin
    column = column * (1 + view.taper * (0.5 - down)) + view.lean * (0.5 - down)
    row = down * (1 - view.taper * 0.4 * (1 - down)) + toward * view.elevation
    return view.centre + view.height * column, view.top + view.height * row

  def half_width(self, across: float, forward: float) -> float:
    """Returns the apparent half width of an elliptical cross-section with the given half axes."""
    return math.hypot(across * self.cos, forward * self.sin)

  def is_far(self, point: Point) -> bool:
    """Returns whether a body point is behind the body's axis, as seen from the camera."""
    return point[1] * self.cos - point[0] * self.sin < -0.01

  def polygon(self, corners: list[tuple[float, float]], material: int) -> None:
    """Fills a polygon given in pixels."""
    points = np.array(corners) * (1 << SHIFT)
    cv2.fillPoly(self.canvas, [np.rint(points).astype(np.int32)], material + self.offset, 8, SHIFT)

  def column(self, levels: list[tuple[Point, float]], material: int) -> None:
    """Fills an upright shape.

    Args:
      levels: (axis point, half width in body heights) from top to bottom.
      material: Material number.
    """
    height = self.view.height
    sides = [(*self.project(point), half * height) for point, half in levels]
    left = [(x - half, y) for x, y, half in sides]
    right = [(x + half, y) for x, y, half in reversed(sides)]
    self.polygon(left + right, material)

  def disc(self, point: Point, across: float, down: float, material: int) -> None:
    """Fills an upright ellipse, with apparent half axes in body heights."""
    x, y = self.project(point)
    scale = 1 << SHIFT
    centre = (round(x * scale), round(y * scale))
    height = self.view.height * scale
    axes = (max(1, round(across * height)), max(1, round(down * height)))
    cv2.ellipse(self.canvas, centre, axes, 0, 0, 360, material + self.offset, -1, 8, SHIFT)

  def limb(self, start: Point, end: Point, radii: tuple[float, float], material: int) -> None:
    """Fills a tapered capsule between two joints, with a dark rim."""
    self._capsule(start, end, [radius + 0.006 for radius in radii], material | FAR)
    self._capsule(start, end, radii, material)

  def _capsule(self, start, end, radii, material: int) -> None:
    (ax, ay), (bx, by) = self.project(start), self.project(end)
    ra, rb = (radius * self.view.height for radius in radii)
    length = math.hypot(bx - ax, by - ay) or 1.0
    nx, ny = (ay - by) / length, (bx - ax) / length
    self.polygon(
      [
        (ax + nx * ra, ay + ny * ra),
        (bx + nx * rb, by + ny * rb),
        (bx - nx * rb, by - ny * rb),
        (ax - nx * ra, ay - ny * ra),
      ],
      material,
    )
    for x, y, radius in ((ax, ay, ra), (bx, by, rb)):
      centre = (round(x * 16), round(y * 16))
      cv2.circle(self.canvas, centre, round(radius * 16), material + self.offset, -1, 8, SHIFT)

  def line(self, start: Point, end: Point, width: float, material: int) -> None:
    """Draws a line of the given width in body heights."""
    points = [tuple(round(value * 16) for value in self.project(p)) for p in (start, end)]
    thickness = max(1, round(width * self.view.height))
    cv2.line(self.canvas, *points, material + self.offset, thickness, 8, SHIFT)
