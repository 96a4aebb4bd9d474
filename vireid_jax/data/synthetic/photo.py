"""Camera effects on an image: light, colour cast, contrast, noise, blur and low resolution."""

import dataclasses
import functools

import cv2
import numpy as np

from vireid_jax.common.records import INFRARED
from vireid_jax.data.synthetic.world import CAMERA_STREAM, WORLDS, random_stream


@dataclasses.dataclass(frozen=True)
class Lens:
  """The fixed properties of one camera.

  Attributes:
    infrared: Whether the camera sees near infrared.
    gain: Brightness of the scene, visible in [0.65, 1.1], infrared in [0.75, 1].
    cast: float32 [3], colour of the light.
    noise: Standard deviation of the noise in grey levels.
    blur: Standard deviation of the blur in pixels of an image 128 pixels high.
    detail: Resolution of the camera as a share of the image's.
    elevation: How steeply the camera looks down.
    heading: Usual walking direction in radians, as in a corridor.
  """

  infrared: bool
  gain: float
  cast: np.ndarray
  noise: float
  blur: float
  detail: float
  elevation: float
  heading: float


@functools.lru_cache(maxsize=64)
def lens(seed: int, world: str, camera: int) -> Lens:
  """Draws the properties of a camera, a pure function of the arguments."""
  mount = WORLDS[world][camera]
  g = random_stream(seed, CAMERA_STREAM, camera, 1)
  infrared = mount.modality == INFRARED
  return Lens(
    infrared=infrared,
    gain=float(g.uniform(0.75, 1.0) if infrared else g.uniform(0.65, 1.1)),
    cast=g.uniform(0.78, 1.12, 3).astype(np.float32),
    noise=float(g.uniform(5, 9) if infrared else g.uniform(3, 7)),
    blur=float(g.uniform(0.4, 1.0)),
    detail=float(g.uniform(0.55, 0.9)),
    elevation=float(g.uniform(0.05, 0.3)),
    heading=float(g.uniform(0, 2 * np.pi)),
  )


def relief(alpha: np.ndarray, generator: np.random.Generator) -> np.ndarray:
  """Shades a silhouette as if it were round and lit from one side.

  Args:
    alpha: uint8 [h, w], coverage by the person.
    generator: Random generator; draws the side of the light.

  Returns:
    float32 [h, w], factors near 1.
  """
  size = max(3, alpha.shape[0] // 16 | 1)
  soft = cv2.blur(alpha, (size, size)).astype(np.float32) / 255
  shift = max(1, size // 2)
  slope = np.zeros_like(soft)
  slope[:, shift:-shift] = soft[:, 2 * shift :] - soft[:, : -2 * shift]
  return 0.72 + 0.33 * soft + float(generator.uniform(-0.25, 0.25)) * slope


def expose(
  picture: np.ndarray, camera: Lens, generator: np.random.Generator, strength: float
) -> np.ndarray:
  """Takes the photograph of a scene.

  Args:
    picture: float32 [h, w, 3] or, in infrared, [h, w, 1]; light from the scene in [0, 255].
    camera: Properties of the camera.
    generator: Random generator of the image.
    strength: Strength of degradation, as in `WorldSpec`.

  Returns:
    uint8 [h, w, 3]; the three channels are equal in infrared.
  """
  height, width = picture.shape[:2]
  gain = camera.gain * (1 + strength * float(generator.uniform(-0.25, 0.25)))
  picture = picture * (_light(height, width, camera.infrared, generator, strength) * gain)
  if camera.infrared:
    # Haze from the illuminator raises the blacks and reduces contrast.
    haze = 1 - 0.3 * strength * float(generator.uniform(0.3, 1.0))
    picture = picture * max(haze, 0.3) + 14 * strength
  else:
    picture = picture * (1 + strength * (camera.cast - 1))
  picture = _soften(picture, camera, generator, strength)
  noise = generator.standard_normal((height, width, 1), dtype=np.float32)
  picture = picture + noise * (camera.noise * strength)
  picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
  return np.repeat(picture, 3, axis=2) if camera.infrared else picture


def _light(height: int, width: int, infrared: bool, generator, strength: float) -> np.ndarray:
  """Returns uneven light, float32 [h, w, 1]: a hot spot in infrared, a gradient in visible."""
  rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
  columns = np.linspace(-1, 1, width, dtype=np.float32)[None]
  a, b = (float(value) for value in generator.uniform(-0.5, 0.5, 2))
  if infrared:
    light = 1.2 - 0.45 * strength * ((rows - a) ** 2 + 0.6 * (columns - b) ** 2)
  else:
    light = 1 + 0.35 * strength * (a * rows + b * columns)
  return np.maximum(light, 0.25)[..., None]


def _soften(picture: np.ndarray, camera: Lens, generator, strength: float) -> np.ndarray:
  """Reduces the picture to the camera's resolution and blurs it."""
  height, width = picture.shape[:2]
  share = camera.detail + float(generator.uniform(-0.2, 0.2))
  share = 1 - strength * (1 - min(share, 1.0))
  sigma = strength * camera.blur * height / 128 * float(generator.uniform(0.4, 1.4))
  if share < 0.95:
    small = (max(8, round(width * share)), max(16, round(height * share)))
    picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
  if sigma > 0.25:
    picture = cv2.GaussianBlur(picture, (0, 0), sigma)
  return picture.reshape(height, width, -1)
