"""Filters and random fields that several corruptions share."""

import math

import numpy as np


def gaussian(image, sigma: float):
  """Blurs [h, w] or [h, w, c] with a Gaussian of `sigma` pixels; borders are mirrored."""
  import cv2

  return cv2.GaussianBlur(np.ascontiguousarray(image, np.float32), (0, 0), sigma)


def convolve(image, kernel):
  """Convolves [h, w] or [h, w, c] with a kernel [k, k]; borders are mirrored."""
  import cv2

  return cv2.filter2D(np.ascontiguousarray(image, np.float32), -1, kernel.astype(np.float32))


def disk(radius: int, edge: float) -> np.ndarray:
  """Returns a disk kernel of sum 1, its border softened by a Gaussian of `edge` pixels."""
  reach = radius + math.ceil(3 * edge)
  y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
  shape = gaussian((x**2 + y**2 <= radius**2).astype(np.float32), edge)
  return shape / shape.sum()


def smear(image, length: int, sigma: float, degrees: float):
  """Smears along one direction with the falling half of a Gaussian.

  Args:
    image: float [h, w] or [h, w, c].
    length: Length of the trace in pixels.
    sigma: Standard deviation of the Gaussian in pixels.
    degrees: Direction, from the horizontal.
  """
  distance = np.linspace(0, length, 4 * length + 1)
  weight = np.exp(-0.5 * (distance / sigma) ** 2)
  angle = math.radians(degrees)
  kernel = np.zeros((2 * length + 1, 2 * length + 1))
  row = np.rint(length + distance * math.sin(angle)).astype(int)
  column = np.rint(length + distance * math.cos(angle)).astype(int)
  np.add.at(kernel, (row, column), weight)
  return convolve(image, kernel / kernel.sum())


def zoom(image, factor: float):
  """Magnifies about the centre, keeping the size."""
  import cv2

  height, width = image.shape[:2]
  shift = ((1 - factor) * (width - 1) / 2, (1 - factor) * (height - 1) / 2)
  matrix = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
  return cv2.warpAffine(
    np.ascontiguousarray(image, np.float32), matrix, (width, height), borderMode=cv2.BORDER_REFLECT
  )


def clouds(shape: tuple[int, int], decay: float, random: np.random.Generator) -> np.ndarray:
  """Draws a fractal field in [0, 1]: noise at ever finer scales, each `decay` times weaker."""
  import cv2

  height, width = shape
  field, weight = np.zeros(shape, np.float32), 1.0
  cells = 2
  while cells <= 2 * max(shape):
    coarse = (max(2, math.ceil(cells * height / max(shape))), max(2, cells * width // max(shape)))
    noise = random.uniform(-1, 1, coarse).astype(np.float32)
    field += weight * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    weight, cells = weight / decay, 2 * cells
  field -= field.min()
  return field / max(field.max(), 1e-6)


def gray(image) -> np.ndarray:
  """Returns the luma of RGB [h, w, 3] as [h, w, 1]."""
  return (image @ np.array([0.299, 0.587, 0.114], image.dtype))[..., None]
