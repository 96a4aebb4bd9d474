"""Tests of taking turns: every side once to warm up, then in turn, and ratios within a turn."""

import pytest

from vireid_jax.speed.turns import Side, ratio, take_turns


def test_sides_take_turns_after_one_call_each():
  calls = []
  sides = [Side(name, lambda name=name: calls.append(name)) for name in "ab"]
  take_turns(sides, 2)
  assert calls == ["a", "b", "a", "b", "a", "b"]
  assert [len(side.seconds) for side in sides] == [2, 2]


def test_ratio_is_the_median_within_turns_per_image():
  ours = Side("ours", lambda: None, images=10, seconds=[1.0, 10.0, 1.0])
  theirs = Side("theirs", lambda: None, images=20, seconds=[4.0, 30.0, 2.0])
  # 4, 3 and 2 times their calls' speed, with half of their images.
  assert ratio(ours, theirs) == pytest.approx(1.5)
