"""Draws one pedestrian, back to front, into an index map of materials."""

import math

import numpy as np

from vireid_jax.data.synthetic import carried
from vireid_jax.data.synthetic.appearance import FAR, HEMS, MATERIAL, Appearance
from vireid_jax.data.synthetic.pattern import apply_pattern
from vireid_jax.data.synthetic.pen import Pen, View

M = MATERIAL
KNEE, ANKLE = 0.48, 0.93  # positions along the leg, from the hip at 0


class Body:
  """Joint positions of one person in one pose, in body heights."""

  def __init__(self, person: Appearance, view: View):
    self.person, self.view = person, view
    self.shoulder = person.head * 1.22
    self.hip = 1 - person.leg
    self.waist = self.shoulder + 0.62 * (self.hip - self.shoulder)
    self.shoulder_half = 0.108 * person.shoulders * (0.75 + 0.25 * person.girth)
    self.hip_half = 0.082 * (0.4 + 0.6 * person.girth)
    self.depth = 0.07 * (0.25 + 0.75 * person.girth)

  def leg(self, side: int):
    """Returns hip, knee and ankle of the left (1) or right (-1) leg."""
    angle = 0.42 * self.view.stride * side
    length = self.person.leg
    across = side * self.hip_half * 0.55
    knee_down, knee_forward = KNEE * length * math.cos(angle), KNEE * length * math.sin(angle)
    # The trailing leg bends at the knee; otherwise both feet would float at the same height.
    lower = angle - (0.35 * abs(self.view.stride) if angle < 0 else 0.05)
    rest = (ANKLE - KNEE) * length
    return (
      (across, 0.0, self.hip),
      (across, knee_forward, self.hip + knee_down),
      (
        across,
        knee_forward + rest * math.sin(lower),
        self.hip + knee_down + rest * math.cos(lower),
      ),
    )

  def arm(self, side: int):
    """Returns shoulder, elbow and hand of the left (1) or right (-1) arm."""
    angle = -0.55 * self.view.swing * self.view.stride * side
    across = side * self.shoulder_half * 0.93
    start = self.shoulder + 0.025
    elbow = (across * 1.14, 0.16 * math.sin(angle), start + 0.165 * math.cos(angle))
    bend = angle + 0.35
    hand = (
      across * 1.18,
      elbow[1] + 0.16 * math.sin(bend),
      elbow[2] + 0.16 * math.cos(bend),
    )
    return (across, 0.0, start), elbow, hand


def draw_person(canvas: np.ndarray, person: Appearance, view: View, offset: int = 0) -> None:
  """Draws a person with everything the person wears and carries.

  Args:
    canvas: uint8 [h, w], index map of material numbers, changed in place.
    person: Appearance of the person.
    view: Pose and position.
    offset: Added to every material number, to distinguish a second person from the first.
  """
  pen, body = Pen(canvas, view, offset), Body(person, view)
  near, far = (1, -1) if not pen.is_far((1.0, 0.0, 0.0)) else (-1, 1)
  facing = pen.cos > 0
  if facing:
    carried.draw_on_back(pen, body)
    _draw_back_hair(pen, body)
  carried.draw_beside(pen, body, side=far)
  _draw_arm(pen, body, far)
  for side in (far, near):
    _draw_leg(pen, body, side, shaded=side == far)
  _draw_lower_garment(pen, body)
  _draw_torso(pen, body)
  _draw_head(pen, body)
  carried.draw_across(pen, body)
  if not facing:
    _draw_back_hair(pen, body)
    carried.draw_on_back(pen, body)
  _draw_arm(pen, body, near)
  carried.draw_beside(pen, body, side=near)
  carried.draw_overhead(pen, body)
  apply_pattern(canvas, pen, person.top_pattern, M["top"], body)
  apply_pattern(canvas, pen, person.bottom_pattern, M["bottom"], body)


def _draw_leg(pen: Pen, body: Body, side: int, shaded: bool) -> None:
  person, tone = body.person, FAR if shaded and abs(pen.sin) > 0.4 else 0
  hip, knee, ankle = body.leg(side)
  girth = 0.5 + 0.5 * person.girth
  covered = person.bottom in ("trousers", "wide", "slim")
  bare = M["tights"] if person.side_stripe and not covered else M["skin"]
  thigh = {"wide": 0.062, "slim": 0.046}.get(person.bottom, 0.054) * girth
  hem = {"wide": 0.058, "slim": 0.027}.get(person.bottom, 0.036) * girth
  leg = (M["bottom"] if covered else bare) | tone
  if not covered:
    hem = 0.024 * girth
  middle = 0.5 * (thigh + hem) if covered else 0.034 * girth
  pen.limb(hip, knee, (thigh if covered else 0.045 * girth, middle), leg)
  pen.limb(knee, ankle, (middle, hem), leg)
  if person.bottom in ("shorts", "cropped"):
    reach = 0.85 if person.bottom == "shorts" else 1.0
    end = _between(hip, knee, reach)
    pen.limb(hip, end, (0.058 * girth, 0.056 * girth), M["bottom"] | tone)
    if person.bottom == "cropped":
      low = _between(knee, ankle, 0.4)
      pen.limb(end, low, (0.056 * girth, 0.05 * girth), M["bottom"] | tone)
  if covered and person.side_stripe:
    pen.line(hip, knee, 0.014, M["trim"])
    pen.line(knee, ankle, 0.014, M["trim"])
  toe = (ankle[0], ankle[1] + 0.06, ankle[2] + 0.028)
  if person.boots:
    pen.limb(_between(knee, ankle, 0.35), ankle, (0.036 * girth,) * 2, M["shoes"] | tone)
  pen.limb((ankle[0], ankle[1] - 0.01, ankle[2] + 0.02), toe, (0.026, 0.02), M["shoes"] | tone)


def _draw_lower_garment(pen: Pen, body: Body) -> None:
  kind = body.person.bottom
  if kind not in ("skirt", "long_skirt"):
    return
  end = body.hip + body.person.leg * (0.42 if kind == "skirt" else 0.85)
  half = pen.half_width(body.hip_half, body.depth)
  flare = 1.25 if kind == "skirt" else 1.45
  swing = 0.05 * abs(pen.view.stride * pen.sin)
  levels = [(body.waist, half * 0.9), (body.hip, half * 1.08), (end, half * flare + swing)]
  pen.column([((0, 0, down), width) for down, width in levels], M["bottom"])


def _torso_levels(pen: Pen, body: Body) -> list:
  person = body.person
  shoulder = pen.half_width(body.shoulder_half, body.depth * 0.8)
  chest = pen.half_width(body.shoulder_half * 0.95, body.depth)
  hip = pen.half_width(body.hip_half, body.depth)
  waist = 0.5 * (chest + hip) * 0.9
  end = body.hip + person.leg * HEMS[person.hem] * 1.6 + (0 if person.hem == "waist" else 0.02)
  levels = [
    (body.shoulder - 0.03, 0.035),
    (body.shoulder, shoulder * 0.8),
    (body.shoulder + 0.03, shoulder),
    (body.shoulder + 0.1, chest),
    (body.waist, waist),
  ]
  if person.hem == "waist":
    return levels + [(body.hip - 0.02, hip)]
  flare = {"hip": 1.02, "thigh": 1.15, "knee": 1.3}[person.hem]
  return levels + [(body.hip, hip * 1.08), (end, hip * flare + 0.01)]


def _draw_torso(pen: Pen, body: Body) -> None:
  person = body.person
  neck = body.shoulder - 0.05
  pen.column([((0, 0, neck - 0.02), 0.026), ((0, 0, body.shoulder), 0.03)], M["skin"])
  levels = _torso_levels(pen, body)
  if person.hem == "waist":
    hip = pen.half_width(body.hip_half, body.depth)
    pen.column([((0, 0, body.waist), hip), ((0, 0, body.hip + 0.05), hip * 1.02)], M["bottom"])
  pen.column([((0, 0, down), half + 0.006) for down, half in levels], M["top"] | FAR)
  pen.column([((0, 0, down), half) for down, half in levels], M["top"])
  if person.open_front and pen.cos > 0.15:
    width = 0.035 * pen.cos + 0.008
    axis = [((0, body.depth * 0.9, levels[1][0] - 0.02), width * 1.5)]
    axis += [((0, body.depth * 0.9, levels[-1][0]), width)]
    pen.column(axis, M["inner"])
  if person.belt and person.hem != "waist":
    half = levels[4][1] + 0.004
    axis = [((0, 0, body.waist - 0.014), half), ((0, 0, body.waist + 0.014), half)]
    pen.column(axis, M["trim"])
  if person.top_pattern.kind == "logo":
    _draw_logo(pen, body)


def _draw_logo(pen: Pen, body: Body) -> None:
  """Draws a print on chest or back, which is visible from only one side."""
  front = 1 if body.person.top_pattern.phase < 0.5 else -1
  seen = pen.cos * front
  if seen < 0.2:
    return
  size = 0.6 + body.person.top_pattern.share
  half = 0.055 * seen * size
  top = body.shoulder + 0.06
  forward = front * body.depth * 0.9
  axis = [((0, forward, top), half), ((0, forward, top + 0.09 * size), half)]
  pen.column(axis, M["top_pattern"])


def _draw_arm(pen: Pen, body: Body, side: int) -> None:
  person = body.person
  shoulder, elbow, hand = body.arm(side)
  girth = 0.6 + 0.4 * person.girth
  tone = FAR if pen.is_far(shoulder) else 0
  sleeve = {"long": M["top"], "short": M["top"], "vest": M["inner"], "none": M["skin"]}
  upper = sleeve[person.sleeves] | tone
  lower = (sleeve[person.sleeves] if person.sleeves in ("long", "vest") else M["skin"]) | tone
  pen.limb(elbow, hand, (0.026 * girth, 0.021 * girth), lower)
  pen.limb(shoulder, elbow, (0.036 * girth, 0.029 * girth), upper)
  pen.disc(hand, 0.02, 0.022, M["skin"] | tone)


def _draw_back_hair(pen: Pen, body: Body) -> None:
  person = body.person
  head, back = person.head, (0, -0.4 * person.head, 0)
  if person.hair == "long":
    width = 0.4 * head
    axis = [((0, back[1] * 0.6, 0.4 * head), width), ((0, back[1], head * 1.9), width * 1.05)]
    pen.column(axis, M["hair"])
  elif person.hair == "ponytail":
    start, end = (0, -0.45 * head, 0.35 * head), (0, -0.75 * head, 1.6 * head)
    pen.limb(start, end, (0.016, 0.024), M["hair"])
  if person.hood:
    half = pen.half_width(0.07, 0.03)
    pen.disc((0, -0.06, body.shoulder + 0.01), half, 0.042, M["scarf"])


def _draw_head(pen: Pen, body: Body) -> None:
  person, head = body.person, body.person.head
  centre = (0.0, 0.0, 0.5 * head)
  half = pen.half_width(0.37 * head, 0.42 * head)
  hair = M["skin"] if person.hair == "bald" else M["hair"]
  puff = {"afro": 1.45, "bob": 1.18, "long": 1.1, "bald": 1.0}.get(person.hair, 1.06)
  pen.disc(centre, half * puff, 0.5 * head * (1.2 if puff > 1.3 else 1.03), hair)
  if person.hair == "bob":
    axis = [((0, -0.1 * head, 0.4 * head), half * 1.2), ((0, -0.1 * head, 1.05 * head), half * 1.3)]
    pen.column(axis, hair)
  if person.hair == "bun":
    pen.disc((0, -0.3 * head, -0.06 * head), 0.2 * head, 0.2 * head, hair)
  _draw_face(pen, body)
  _draw_hat(pen, body)
  if person.scarf:
    half = pen.half_width(0.062, 0.055)
    pen.column([((0, 0, 0.95 * head), half), ((0, 0, 1.28 * head), half * 1.15)], M["scarf"])


def _draw_face(pen: Pen, body: Body) -> None:
  person, head = body.person, body.person.head
  if pen.cos < -0.35:
    return
  turn = min(1.0, 0.45 + 0.55 * max(0.0, pen.cos))
  face = (0.0, 0.16 * head * (1.5 - pen.cos), 0.58 * head)
  pen.disc(face, 0.33 * head * turn, 0.4 * head, M["skin"])
  eyes = 0.26 * head * turn
  if person.glasses:
    axis = [((0, face[1], 0.44 * head), eyes * 1.2), ((0, face[1], 0.6 * head), eyes * 1.2)]
    pen.column(axis, M["eyes"])


def _draw_hat(pen: Pen, body: Body) -> None:
  head, kind = body.person.head, body.person.hat
  if kind == "none":
    return
  half = pen.half_width(0.42 * head, 0.46 * head)
  dome = [(-0.08, 0.55), (0.02, 0.9), (0.22, 1.05), (0.34, 1.05)]
  pen.column([((0, 0, down * head), half * share) for down, share in dome], M["hat"])
  if kind == "cap":
    reach = (0, 0.75 * head, 0.36 * head)
    pen.limb((0, 0.2 * head, 0.32 * head), reach, (0.018, 0.012), M["hat"])
  elif kind == "brim":
    pen.disc((0, 0, 0.3 * head), 0.85 * head, 0.13 * head, M["hat"])
  else:
    pen.column([((0, 0, 0.26 * head), half * 1.1), ((0, 0, 0.4 * head), half * 1.1)], M["trim"])


def _between(start, end, share: float):
  return tuple(a + share * (b - a) for a, b in zip(start, end, strict=True))
