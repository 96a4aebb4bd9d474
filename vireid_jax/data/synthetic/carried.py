"""Draws what a pedestrian carries: backpack, satchel, handbag, suitcase, umbrella."""

from vireid_jax.data.synthetic.appearance import FAR, MATERIAL
from vireid_jax.data.synthetic.pen import Pen

M = MATERIAL


def draw_on_back(pen: Pen, body) -> None:
  """Draws the backpack: whole from behind, its profile from the side, its rim from the front."""
  size = body.person.backpack
  if not size:
    return
  half = pen.half_width(0.085 + 0.1 * (size - 0.17), 0.055)
  top, back = body.shoulder + 0.015, -(body.depth + 0.045)
  levels = [(top, 0.7), (top + 0.03, 1.0), (top + size, 1.05), (top + size + 0.02, 0.8)]
  pen.column([((0, back, down), half * share + 0.006) for down, share in levels], M["trim"] | FAR)
  pen.column([((0, back, down), half * share) for down, share in levels], M["backpack"])
  if pen.cos < -0.3:
    pocket = [(top + 0.55 * size, 0.7), (top + 0.92 * size, 0.7)]
    pen.column([((0, back, down), half * share) for down, share in pocket], M["trim"])


def draw_across(pen: Pen, body) -> None:
  """Draws the straps of a backpack, and a satchel with its bag at the hip."""
  if body.person.backpack and pen.cos > -0.1:
    for side in (-1, 1):
      across = side * 0.06
      ends = ((across, body.depth, body.shoulder), (across * 1.1, body.depth, body.waist))
      pen.line(*ends, 0.02, M["backpack"])
  if not body.person.satchel:
    return
  side = body.person.side
  front = body.depth if pen.cos > 0 else -body.depth
  hip = (side * (body.hip_half + 0.02), 0.0, body.hip + 0.02)
  pen.line(
    (-side * 0.06, front, body.shoulder - 0.005), (hip[0], front * 0.5, hip[2]), 0.016, M["bag"]
  )
  if not pen.is_far(hip) or abs(pen.sin) < 0.5:
    half = pen.half_width(0.035, 0.07)
    axis = [((*hip[:2], hip[2] - 0.02), half), ((*hip[:2], hip[2] + 0.08), half * 1.05)]
    pen.column(axis, M["bag"])


def draw_beside(pen: Pen, body, side: int) -> None:
  """Draws the handbag or suitcase if the person carries it on the given side."""
  if side != body.person.side:
    return
  hand = body.arm(side)[2]
  size = body.person.handbag
  if size:
    half = pen.half_width(0.03, 0.6 * size)
    top = hand[2] + 0.05
    for shift in (-0.6, 0.6):
      x = (hand[0], hand[1] + shift * 0.6 * size, top)
      pen.line(hand, x, 0.012, M["trim"])
    pen.column([((*hand[:2], top), half), ((*hand[:2], top + size), half * 1.15)], M["bag"])
  if body.person.suitcase:
    place = (side * 0.16, -0.16)
    half = pen.half_width(0.075, 0.05)
    pen.line((hand[0], hand[1], hand[2]), (*place, 0.72), 0.014, M["trim"])
    pen.column([((*place, 0.7), half + 0.006), ((*place, 0.985), half + 0.006)], M["trim"] | FAR)
    pen.column([((*place, 0.706), half), ((*place, 0.98), half)], M["suitcase"])


def draw_overhead(pen: Pen, body) -> None:
  """Draws an open umbrella held above the head."""
  if not body.person.umbrella:
    return
  hand = body.arm(body.person.side)[1]
  pen.line((hand[0], hand[1] + 0.05, hand[2]), (0.0, 0.05, -0.1), 0.012, M["trim"])
  dome = [(-0.13, 0.02), (-0.115, 0.1), (-0.08, 0.18), (-0.02, 0.24), (0.0, 0.24)]
  pen.column([((0, 0.05, down), half) for down, half in dome], M["umbrella"])
