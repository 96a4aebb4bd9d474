"""Grids of pictures to the pixel, and pictures in addresses."""

import base64
import io

import numpy as np
from PIL import Image

from vireid_jax.common.data_uris import data_uri, picture_uri
from vireid_jax.common.picture_grid import picture_grid


def test_a_grid_has_two_white_pixels_after_every_picture():
  pictures = [
    [np.full((1, 2, 3), 10 * row + column, np.uint8) for column in (0, 1)] for row in (0, 1)
  ]
  white = 255
  expected = [
    [0, 0, white, white, 1, 1, white, white],
    [white] * 8,
    [white] * 8,
    [10, 10, white, white, 11, 11, white, white],
    [white] * 8,
    [white] * 8,
  ]
  grid = picture_grid(pictures)
  assert grid.dtype == np.uint8
  np.testing.assert_array_equal(grid, np.repeat(np.array(expected)[..., None], 3, axis=2))


def test_an_address_holds_the_bytes():
  assert data_uri(b"\x00\xff", "image/png") == "data:image/png;base64,AP8="


def test_an_address_holds_the_picture():
  picture = Image.new("RGB", (5, 3), (200, 100, 50))
  for kind in ("jpeg", "webp"):
    head, _, encoded = picture_uri(picture, kind).partition(",")
    assert head == f"data:image/{kind};base64"
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as opened:
      assert (opened.format, opened.size) == (kind.upper(), (5, 3))
      np.testing.assert_allclose(np.asarray(opened.convert("RGB")), np.asarray(picture), atol=4)
