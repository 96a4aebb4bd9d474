"""Every corruption keeps range and shape, depends on its seed alone, and bites."""

import io

import numpy as np
import pytest
from PIL import Image

from vireid_jax import corruption_sheet
from vireid_jax.common.errors import UserError
from vireid_jax.data.corruptions import KINDS, SEVERITIES, Corruption, corrupt
from vireid_jax.data.prepared import source
from vireid_jax.report.sheets import corruptions as sheet_lib

DRAWS_NOTHING = {"defocus_blur", "zoom_blur", "gaussian_blur", "brightness", "contrast"}
DRAWS_NOTHING |= {"saturate", "pixelate", "jpeg"}


def picture(height=96, width=40):
  """A figure-like blob on a gradient, with texture."""
  y, x = np.mgrid[:height, :width]
  image = np.stack([40 + 1.5 * y, 200 - 3 * x, 60 + 40 * np.sin(x + y / 3)], axis=-1)
  body = ((x - width / 2) / 10) ** 2 + ((y - height / 2) / 36) ** 2 < 1
  image[body] = (180, 40, 90)
  return np.clip(image, 0, 255).astype(np.uint8)


def damage(kind, severity, seed=0, image=None):
  image = picture() if image is None else image
  return corrupt(image, kind, severity, np.random.default_rng(seed))


def test_there_are_twenty_kinds():
  assert len(KINDS) == 20
  assert SEVERITIES == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("kind", KINDS)
class TestKind:
  @pytest.mark.parametrize("severity", SEVERITIES)
  def test_shape_range_and_effect(self, kind, severity):
    before = picture()
    got = damage(kind, severity, image=before)
    assert got.shape == (96, 40, 3)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(before, picture())
    difference = np.abs(got.astype(int) - before).mean()
    assert 0.5 < difference < 140
    assert got.std() > 1

  def test_same_seed_same_image_other_seed_another(self, kind):
    first, again, other = (damage(kind, 3, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first == other).all() == (kind in DRAWS_NOTHING)

  def test_odd_sizes_and_flat_images(self, kind):
    for shape in ((33, 17, 3), (64, 128, 3)):
      for value in (0, 128, 255):
        got = damage(kind, 5, image=np.full(shape, value, np.uint8))
        assert got.shape == shape


@pytest.mark.parametrize(
  "kind", sorted(set(KINDS) - {"elastic", "saturate", "spatter", "snow", "fog"})
)
def test_severity_5_is_farther_from_the_image_than_1(kind):
  image = picture().astype(int)
  mild, strong = (np.abs(damage(kind, severity) - image).mean() for severity in (1, 5))
  assert strong > 1.2 * mild


def test_known_values():
  flat = np.full((8, 8, 3), 100, np.uint8)
  assert (damage("brightness", 2, image=flat) == 151).all()  # 100 + 0.2 * 255
  half = flat.copy()
  half[4:] = 200
  np.testing.assert_array_equal(np.unique(damage("contrast", 1, image=half)), [130, 170])
  noise = damage("gaussian_noise", 1, image=np.full((200, 200, 3), 128, np.uint8))
  np.testing.assert_allclose(noise.std(), 0.08 * 255, rtol=0.02)
  salt = damage("impulse_noise", 5, image=np.full((200, 200, 3), 128, np.uint8))
  np.testing.assert_allclose((salt != 128).mean(), 0.27, atol=0.005)
  np.testing.assert_allclose((salt == 255).mean(), 0.135, atol=0.005)


def test_draws_depend_on_seed_and_name_alone():
  draw = Corruption(seed=3)
  names = [f"cam1/0001/{i:04d}.jpg" for i in range(4000)]
  drawn = [draw.draw(name)[:2] for name in names]
  assert drawn == [Corruption(seed=3).draw(name)[:2] for name in names]
  assert drawn != [Corruption(seed=4).draw(name)[:2] for name in names]
  kinds, counts = np.unique([kind for kind, _ in drawn], return_counts=True)
  assert set(kinds) == set(KINDS)
  assert counts.min() > 140 and counts.max() < 260  # 200 expected, deviation 14
  _, counts = np.unique([severity for _, severity in drawn], return_counts=True)
  assert counts.min() > 700 and counts.max() < 900
  image = picture()
  np.testing.assert_array_equal(draw(names[5], image), draw(names[5], image))


def test_choice_of_kinds_and_severities():
  draw = Corruption(kinds=("fog", "jpeg"), severities=(2,))
  assert {draw.draw(str(i))[:2] for i in range(50)} == {("fog", 2), ("jpeg", 2)}


@pytest.mark.parametrize(
  "options, message",
  [
    ({"kinds": ("fogg",)}, "unknown corruption 'fogg'; did you mean 'fog'"),
    ({"severities": (0, 1)}, "severities are"),
    ({"severities": ()}, "severities are"),
  ],
)
def test_wrong_choices_are_refused(options, message):
  with pytest.raises(UserError, match=message):
    Corruption(**options)
  with pytest.raises(UserError, match="severity is 6"):
    corrupt(picture(), "fog", 6, np.random.default_rng(0))


def test_the_change_comes_before_the_resize():
  stored = io.BytesIO()
  Image.fromarray(picture()).save(stored, "PNG")
  seen = []

  def change(image):
    seen.append(image.shape)
    return 255 - image

  got = source.decode(stored.getvalue(), (48, 20), "bilinear", change=change)
  assert seen == [(96, 40, 3)]
  plain = source.decode(stored.getvalue(), (48, 20), "bilinear")
  np.testing.assert_allclose(got.astype(int), 255 - plain.astype(int), atol=2)


def test_contact_sheet_shows_every_kind(tmp_path, capsys, monkeypatch):
  labels, strip = [], sheet_lib.strip
  monkeypatch.setattr(
    sheet_lib, "strip", lambda text, *size: labels.append(text) or strip(text, *size)
  )
  Image.fromarray(picture(30, 14)).save(tmp_path / "in.png")
  assert corruption_sheet.main([str(tmp_path / "in.png"), str(tmp_path / "out.png")]) == 0
  with Image.open(tmp_path / "out.png") as sheet:
    # Six times as large, so that a label fits on a column.
    assert sheet.size == (72 + 10 * 86, 2 * (32 + 6 * 182))
    pixels = np.asarray(sheet)
  assert (pixels[32:212:6, 72:156:6] == picture(30, 14)).all()  # the original, under its kind
  assert set(labels) == {"", *KINDS, "original", *(f"severity {number}" for number in range(1, 6))}
  assert corruption_sheet.main(["nowhere.png", str(tmp_path / "out.png")]) == 1
  assert "nowhere.png is not a file" in capsys.readouterr().err
