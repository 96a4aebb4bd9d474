"""The appearance of a synthetic pedestrian: body, clothes, patterns, objects, and two palettes."""

import colorsys
import dataclasses
import functools

import numpy as np

from vireid_jax.data.synthetic.world import IDENTITY_STREAM, random_stream

# Materials are the values of the index map into which the figure is drawn. FAR marks the same
# material where it faces away from the light.
MATERIALS = (
  *("none", "skin", "hair", "top", "top_pattern", "bottom", "bottom_pattern", "inner", "shoes"),
  *("backpack", "bag", "suitcase", "umbrella", "hat", "scarf", "trim", "eyes", "tights"),
)
MATERIAL = {name: number for number, name in enumerate(MATERIALS)}
FAR = 32

HAIR = ("bald", "short", "short", "bob", "long", "ponytail", "bun", "afro")
HATS = ("none", "none", "none", "none", "cap", "brim", "beanie")
SLEEVES = ("none", "short", "short", "long", "long", "long", "vest")
HEMS = {"waist": 0.0, "hip": 0.05, "thigh": 0.16, "knee": 0.27}
BOTTOMS = ("trousers", "trousers", "wide", "slim", "shorts", "skirt", "long_skirt", "cropped")
PATTERNS = (
  "plain",
  "rings",
  "rings",
  "bars",
  "bars",
  "checks",
  "dots",
  "block",
  "diagonal",
  "logo",
)


@dataclasses.dataclass(frozen=True)
class Pattern:
  """A garment's pattern: kind, period in body heights, phase, and share of the second colour."""

  kind: str
  period: float
  phase: float
  share: float


@dataclasses.dataclass(frozen=True)
class Appearance:
  """One person: lengths in body heights, and what the person wears and carries."""

  head: float
  girth: float
  shoulders: float
  leg: float
  hair: str
  hat: str
  glasses: bool
  sleeves: str
  hem: str
  open_front: bool
  hood: bool
  scarf: bool
  belt: bool
  bottom: str
  side_stripe: bool
  boots: bool
  top_pattern: Pattern
  bottom_pattern: Pattern
  backpack: float
  satchel: bool
  handbag: float
  suitcase: bool
  umbrella: bool
  side: int
  visible: np.ndarray  # uint8 [64, 3], colour per material
  infrared: np.ndarray  # uint8 [64], near-infrared intensity per material


def _pattern(generator: np.random.Generator, kinds: tuple[str, ...]) -> Pattern:
  return Pattern(
    kind=str(generator.choice(kinds)),
    period=float(generator.choice((0.07, 0.1, 0.14, 0.2))),
    phase=float(generator.random()),
    share=float(generator.uniform(0.3, 0.6)),
  )


def _cloth_colour(generator: np.random.Generator) -> tuple[int, int, int]:
  """Draws street colours: a third neutral or navy, the others of any hue."""
  value = generator.uniform(0.12, 0.95)
  if generator.random() < 0.35:
    hue, saturation = generator.uniform(0.5, 0.7), generator.uniform(0.0, 0.25)
  else:
    hue, saturation = generator.random(), generator.uniform(0.35, 0.95)
  return tuple(int(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))


def _alike(first: np.ndarray, second: np.ndarray) -> bool:
  """Returns whether two colours are too close for a visible pattern."""
  return int(np.abs(first.astype(np.int32) - second).sum()) < 150


def _fade(palette: np.ndarray) -> np.ndarray:
  """Fills the FAR half of a palette with three quarters of the near half's intensity."""
  palette[FAR:] = palette[:FAR].astype(np.int32) * 3 // 4
  return palette


def _visible_palette(generator: np.random.Generator) -> np.ndarray:
  palette = np.zeros((2 * FAR, 3), np.uint8)
  for name in MATERIALS[1:]:
    palette[MATERIAL[name]] = _cloth_colour(generator)
  for name in ("top", "bottom"):
    while _alike(palette[MATERIAL[name]], palette[MATERIAL[f"{name}_pattern"]]):
      palette[MATERIAL[f"{name}_pattern"]] = _cloth_colour(generator)
  tone = generator.uniform(0.35, 1.0)
  palette[MATERIAL["skin"]] = [int(tone * channel) for channel in (236, 190, 160)]
  hair = generator.choice(((28, 22, 20), (70, 46, 30), (120, 84, 50), (190, 160, 100), (130,) * 3))
  palette[MATERIAL["hair"]] = hair
  palette[MATERIAL["eyes"]] = 25
  palette[MATERIAL["shoes"]] = np.multiply(palette[MATERIAL["shoes"]], 0.6)
  return _fade(palette)


def _infrared_palette(generator: np.random.Generator, contrast: float) -> np.ndarray:
  """Draws reflectances independent of the visible colours, as dyes are transparent in infrared.

  Only skin (bright), hair and shoes (rather dark) look similar on everyone, as in reality.
  """
  palette = np.zeros(2 * FAR, np.uint8)
  for name in MATERIALS[1:]:
    palette[MATERIAL[name]] = generator.integers(50, 226)
  for name in ("top", "bottom"):
    base = int(palette[MATERIAL[name]])
    step = int(contrast * generator.uniform(60, 150)) * int(generator.choice((-1, 1)))
    if not 30 <= base + step <= 245:
      step = -step
    palette[MATERIAL[f"{name}_pattern"]] = np.clip(base + step, 20, 250)
  palette[MATERIAL["skin"]] = generator.integers(190, 225)
  palette[MATERIAL["hair"]] = generator.integers(40, 130)
  palette[MATERIAL["shoes"]] = generator.integers(40, 150)
  palette[MATERIAL["eyes"]] = 60
  return _fade(palette)


@functools.lru_cache(maxsize=8192)
def draw_appearance(seed: int, identity: int, infrared_texture: float) -> Appearance:
  """Draws a person's appearance, a pure function of the arguments.

  Args:
    seed: Seed of the world.
    identity: Identity number of the person.
    infrared_texture: Contrast of patterns in infrared, as in `WorldSpec`.

  Returns:
    The appearance. The visible and the infrared palette come from separate random streams, so they
    are independent.
  """
  g = random_stream(seed, IDENTITY_STREAM, identity, 0)

  def chance(share: float) -> bool:
    return bool(g.random() < share)

  def between(low: float, high: float) -> float:
    return float(g.uniform(low, high))

  return Appearance(
    head=between(0.112, 0.16),
    girth=between(0.75, 1.6),
    shoulders=between(0.82, 1.22),
    leg=between(0.43, 0.55),
    hair=str(g.choice(HAIR)),
    hat=str(g.choice(HATS)),
    glasses=chance(0.2),
    sleeves=str(g.choice(SLEEVES)),
    hem=str(g.choice(tuple(HEMS))),
    open_front=chance(0.25),
    hood=chance(0.2),
    scarf=chance(0.15),
    belt=chance(0.25),
    bottom=str(g.choice(BOTTOMS)),
    side_stripe=chance(0.15),
    boots=chance(0.25),
    top_pattern=_pattern(g, PATTERNS),
    bottom_pattern=_pattern(g, ("plain",) * 3 + PATTERNS[1:-1]),
    backpack=between(0.18, 0.34) if chance(0.35) else 0.0,
    satchel=chance(0.2),
    handbag=between(0.1, 0.2) if chance(0.35) else 0.0,
    suitcase=chance(0.12),
    umbrella=chance(0.06),
    side=int(g.choice((-1, 1))),
    visible=_visible_palette(random_stream(seed, IDENTITY_STREAM, identity, 1)),
    infrared=_infrared_palette(random_stream(seed, IDENTITY_STREAM, identity, 2), infrared_texture),
  )


def shift_tones(palette: np.ndarray, generator: np.random.Generator, strength: float) -> np.ndarray:
  """Returns a palette under other light: each garment brighter or darker, and recoloured.

  Args:
    palette: uint8 [64, 3] or, in infrared, [64].
    generator: Random generator of the image.
    strength: `tone_shift` of the world.

  Returns:
    The new palette, of the same shape and type. A garment and its pattern shift together, so
    patterns remain.
  """
  stops = generator.uniform(-strength, strength, (FAR, *palette.shape[1:]))
  for name in ("top", "bottom"):
    stops[MATERIAL[f"{name}_pattern"]] = stops[MATERIAL[name]]
  stops[MATERIAL["skin"]] *= 0.3
  gains = np.exp2(np.concatenate([stops, stops]))
  return np.clip(np.rint(palette * gains), 0, 255).astype(np.uint8)
