"""Specification of a synthetic data set: identities, splits, cameras, sizes and difficulty."""

import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np

from vireid_jax.common.errors import UserError, choose
from vireid_jax.common.records import INFRARED, VISIBLE

SPLITS = ("train", "val", "test")
MIN_HEIGHT, MIN_WIDTH = 24, 12

# Random streams, each with its own tag, so that adding a draw to one leaves the others unchanged.
SPLIT_STREAM, VIEW_STREAM, PERMUTATION_STREAM = 0, 1, 2
IDENTITY_STREAM, SCENE_STREAM, CAMERA_STREAM, IMAGE_STREAM = 3, 4, 5, 6


@dataclasses.dataclass(frozen=True)
class Mount:
  """Where a camera is mounted.

  Attributes:
    modality: `VISIBLE` or `INFRARED`.
    scene: Number of the scene that it shows; two cameras may share one.
    outdoor: Whether the scene is outdoors.
  """

  modality: int
  scene: int
  outdoor: bool


def _llcm_mounts() -> dict[int, Mount]:
  visible = {c: Mount(VISIBLE, c, c > 4) for c in range(1, 10)}
  infrared = {10 + c: Mount(INFRARED, c, c > 4) for c in range(1, 10) if c != 3}
  return visible | infrared


# The camera setup of each benchmark. LLCM numbers its cameras alike in both modalities;
# here its infrared camera c is 10 + c.
WORLDS: dict[str, dict[int, Mount]] = {
  "sysu_mm01": {
    1: Mount(VISIBLE, 1, outdoor=False),
    2: Mount(VISIBLE, 2, outdoor=False),
    3: Mount(INFRARED, 2, outdoor=False),
    4: Mount(VISIBLE, 4, outdoor=True),
    5: Mount(VISIBLE, 5, outdoor=True),
    6: Mount(INFRARED, 6, outdoor=True),
  },
  "regdb": {1: Mount(VISIBLE, 1, outdoor=True), 2: Mount(INFRARED, 1, outdoor=True)},
  "llcm": _llcm_mounts(),
}


@dataclasses.dataclass(frozen=True)
class WorldSpec:
  """Complete specification of a synthetic data set; equal specs give equal images.

  Attributes:
    train_identities: Number of training identities.
    val_identities: Number of validation identities.
    test_identities: Number of test identities.
    images_per_camera: Images of each identity in each camera that saw it.
    image_height: Height of the images in pixels.
    image_width: Width of the images in pixels.
    seed: Seed of every random choice.
    world: Camera setup, a key of `WORLDS`.
    missed: Share in [0, 1] of identities that no indoor camera saw (about 0.4 in SYSU-MM01); each
      other camera misses an eighth of that. Every identity is seen in both modalities.
    occlusion: Share in [0, 1] of images with something in front of the person.
    pose: Strength of gait, lean and turn, >= 0; 1 is typical of a street.
    misalignment: How badly the detector's box fits, >= 0; 1 is typical of a detector.
    degradation: Strength of noise, blur, low resolution and uneven light, >= 0; 0 is a studio.
    tone_shift: Range of a garment's brightness and colour between images, >= 0, as a power of two.
      With 0, colour is enough to identify people within a modality, and a network that relies on
      it learns little that carries over to the other.
    infrared_texture: Contrast of garment patterns in infrared relative to visible, >= 0.

  Raises:
    UserError: A number is out of range, or the world is unknown.
  """

  train_identities: int
  val_identities: int
  test_identities: int
  images_per_camera: int
  image_height: int
  image_width: int
  seed: int = 0
  world: str = "sysu_mm01"
  missed: float = 0.3
  occlusion: float = 0.2
  pose: float = 1.0
  misalignment: float = 1.0
  degradation: float = 1.0
  tone_shift: float = 0.7
  infrared_texture: float = 0.8

  def __post_init__(self):
    choose(self.world, WORLDS, "world")
    lowest = {
      "train_identities": 1,
      "val_identities": 0,
      "test_identities": 1,
      "images_per_camera": 1,
      "image_height": MIN_HEIGHT,
      "image_width": MIN_WIDTH,
      "seed": 0,
      "pose": 0,
      "misalignment": 0,
      "degradation": 0,
      "tone_shift": 0,
      "infrared_texture": 0,
    }
    for name, least in lowest.items():
      if not getattr(self, name) >= least:
        raise UserError(f"{name} must be at least {least}, got {getattr(self, name)}")
    for name in ("missed", "occlusion"):
      if not 0 <= getattr(self, name) <= 1:
        raise UserError(f"{name} is a share in [0, 1], got {getattr(self, name)}")

  @property
  def mounts(self) -> dict[int, Mount]:
    """The cameras of this world: {camera number: Mount}."""
    return WORLDS[self.world]

  def cameras(self, modality: int) -> tuple[int, ...]:
    """Returns the camera numbers of a modality, sorted."""
    return tuple(c for c, mount in sorted(self.mounts.items()) if mount.modality == modality)

  def modality(self, camera: int) -> int:
    """Returns `VISIBLE` or `INFRARED`."""
    return self.mounts[camera].modality

  def identities(self, split: str | None = None) -> tuple[int, ...]:
    """Returns the sorted identity numbers of 'train', 'val' or 'test', by default of all three."""
    numbers = _identity_numbers(self)
    if split is None:
      return tuple(sorted(sum(numbers.values(), ())))
    return choose(split, numbers, "split")

  def cameras_of(self, identity: int) -> tuple[int, ...]:
    """Returns the cameras that saw an identity, sorted."""
    return _cameras_of(self, identity)

  def images(self, split: str | None = None) -> Iterator[tuple[int, int, int]]:
    """Yields (identity, camera, index) of each image, index from 1, in sorted order."""
    for identity in self.identities(split):
      for camera in self.cameras_of(identity):
        for index in range(1, self.images_per_camera + 1):
          yield identity, camera, index


# What a small network can learn in minutes on a CPU.
_MILD = {
  "occlusion": 0.08,
  "pose": 0.5,
  "misalignment": 0.5,
  "degradation": 0.5,
  "tone_shift": 1.0,
  "infrared_texture": 1.0,
}

PRESETS: dict[str, WorldSpec] = {
  "smoke": WorldSpec(8, 2, 6, images_per_camera=4, image_height=48, image_width=24, **_MILD),
  "quick": WorldSpec(100, 16, 48, images_per_camera=10, image_height=96, image_width=48, **_MILD),
  # SYSU-MM01's 296 + 99 + 96 identities, and as hard as it gets: not for a laptop.
  "full": WorldSpec(296, 99, 96, images_per_camera=20, image_height=288, image_width=144),
}


def random_stream(seed: int, stream: int, *numbers: int) -> np.random.Generator:
  """Returns a random generator that depends only on the given integers."""
  return np.random.default_rng(np.random.SeedSequence((seed, stream, *numbers)))


@functools.lru_cache(maxsize=32)
def _identity_numbers(spec: WorldSpec) -> dict[str, tuple[int, ...]]:
  counts = (spec.train_identities, spec.val_identities, spec.test_identities)
  total = sum(counts)
  # SYSU-MM01 numbers its 491 usable identities within 1..533; the others number without gaps.
  highest = math.ceil(total * 533 / 491) if spec.world == "sysu_mm01" else total
  generator = random_stream(spec.seed, SPLIT_STREAM)
  shuffled = generator.permutation(np.arange(1, highest + 1))[:total].tolist()
  ends = np.cumsum(counts).tolist()
  starts = [0, *ends[:-1]]
  return {
    split: tuple(sorted(shuffled[start:end]))
    for split, start, end in zip(SPLITS, starts, ends, strict=True)
  }


@functools.lru_cache(maxsize=8192)
def _cameras_of(spec: WorldSpec, identity: int) -> tuple[int, ...]:
  if spec.world == "regdb":
    return tuple(sorted(spec.mounts))
  generator = random_stream(spec.seed, VIEW_STREAM, identity)
  chances = {c: generator.random() for c in sorted(spec.mounts)}
  indoors = generator.random() >= spec.missed
  kept = [
    c
    for c, mount in sorted(spec.mounts.items())
    if chances[c] >= spec.missed / 8
    and (indoors or mount.outdoor or mount.modality == INFRARED or spec.world != "sysu_mm01")
  ]
  for modality in (VISIBLE, INFRARED):
    own = spec.cameras(modality)
    if not set(own) & set(kept):
      kept.append(own[-1])
  return tuple(sorted(kept))
