"""Digital corruptions: tone, warping, resolution and compression."""

import numpy as np

from vireid_jax.data.corruptions import filters


def brightness(image, severity: int, random: np.random.Generator):
  """Raises the value channel of HSV."""
  del random
  hsv = _to_hsv(image)
  hsv[..., 2] = np.clip(hsv[..., 2] + (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1], 0, 1)
  return _from_hsv(hsv)


def contrast(image, severity: int, random: np.random.Generator):
  """Pulls all values towards the mean of their channel."""
  del random
  mean = image.mean(axis=(0, 1), keepdims=True)
  return mean + (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1] * (image - mean)


def saturate(image, severity: int, random: np.random.Generator):
  """Fades the colours at the first two severities, exaggerates them at the others."""
  del random
  factor, offset = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))[severity - 1]
  hsv = _to_hsv(image)
  hsv[..., 1] = np.clip(hsv[..., 1] * factor + offset, 0, 1)
  return _from_hsv(hsv)


def elastic(image, severity: int, random: np.random.Generator):
  """Warps by a random affine map and a smooth random displacement; lengths scale with the image."""
  import cv2

  # displacement, its smoothness and the shift of the affine map's corners, per shorter side
  amount, sigma, corners = (
    (2, 0.7, 0.1),
    (2, 0.08, 0.2),
    (0.05, 0.01, 0.02),
    (0.07, 0.01, 0.02),
    (0.12, 0.01, 0.02),
  )[severity - 1]
  height, width = image.shape[:2]
  side = min(height, width)
  centre = np.array([width, height], np.float32) / 2
  fixed = centre + side / 3 * np.array([[1, 1], [1, -1], [-1, -1]], np.float32)
  moved = fixed + random.uniform(-corners * side, corners * side, fixed.shape).astype(np.float32)
  matrix = cv2.getAffineTransform(fixed, moved)
  image = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
  y, x = np.mgrid[:height, :width].astype(np.float32)
  noise = random.uniform(-1, 1, (2, height, width))
  shift = [amount * side * filters.gaussian(field, max(sigma * side, 0.5)) for field in noise]
  return cv2.remap(
    image, x + shift[0], y + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
  )


def pixelate(image, severity: int, random: np.random.Generator):
  """Shrinks the picture and enlarges it again without smoothing."""
  import cv2

  del random
  factor = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
  height, width = image.shape[:2]
  small = (max(1, int(width * factor)), max(1, int(height * factor)))
  small = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
  return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def jpeg(image, severity: int, random: np.random.Generator):
  """Compresses as JPEG at a low quality."""
  import cv2

  del random
  quality = (25, 18, 15, 10, 7)[severity - 1]
  pixels = np.rint(255 * image[..., ::-1]).astype(np.uint8)
  _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
  return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def _to_hsv(image):
  import cv2

  return cv2.cvtColor(image, cv2.COLOR_RGB2HSV)


def _from_hsv(hsv):
  import cv2

  return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
