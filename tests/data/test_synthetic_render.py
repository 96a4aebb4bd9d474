"""The renderer: determinism, masks, and a modality gap that gray conversion does not bridge."""

import dataclasses

import cv2
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED
from vireid_jax.data.synthetic import PRESETS, encode, render, render_encoded
from vireid_jax.data.synthetic.appearance import FAR, MATERIAL, draw_appearance, shift_tones
from vireid_jax.data.synthetic.figure import draw_person
from vireid_jax.data.synthetic.pen import View
from vireid_jax.data.synthetic.renderer import STRANGERS
from vireid_jax.data.synthetic.scene import panorama

SMOKE = PRESETS["smoke"]
VIEW = View(
  heading=0.3,
  stride=0.5,
  swing=1.0,
  lean=0.0,
  taper=0.1,
  elevation=0.05,
  centre=64.0,
  top=20.0,
  height=220.0,
)


def figure(identity: int, view: View = VIEW, seed: int = 0) -> np.ndarray:
  """Returns the index map of a person in a standard pose, uint8 [256, 128]."""
  canvas = np.zeros((256, 128), np.uint8)
  draw_person(canvas, draw_appearance(seed, identity, 1.0), view)
  return canvas


def test_a_call_repeated_gives_the_same_image_and_mask():
  first, second = render(SMOKE, 3, 1, 2), render(SMOKE, 3, 1, 2)
  np.testing.assert_array_equal(first.image, second.image)
  np.testing.assert_array_equal(first.mask, second.mask)


@pytest.mark.parametrize("other", [(4, 1, 2), (3, 2, 2), (3, 1, 3)])
def test_identity_camera_and_index_change_the_image(other):
  change = np.abs(render(SMOKE, 3, 1, 2).image.astype(int) - render(SMOKE, *other).image)
  assert change.mean() > 5


def test_seed_changes_the_image():
  reseeded = dataclasses.replace(SMOKE, seed=1)
  change = np.abs(render(SMOKE, 3, 1, 2).image.astype(int) - render(reseeded, 3, 1, 2).image)
  assert change.mean() > 5


def test_image_does_not_depend_on_how_many_identities_there_are():
  larger = dataclasses.replace(SMOKE, train_identities=50, images_per_camera=9)
  np.testing.assert_array_equal(render(SMOKE, 3, 1, 2).image, render(larger, 3, 1, 2).image)


@pytest.mark.parametrize("preset", ["smoke", "quick", "full"])
@pytest.mark.parametrize("camera", [1, 6])
def test_shapes_and_types(preset, camera):
  spec = PRESETS[preset]
  rendered = render(spec, 1, camera, 1)
  assert rendered.image.shape == (spec.image_height, spec.image_width, 3)
  assert rendered.mask.shape == rendered.image.shape[:2]
  assert rendered.image.dtype == rendered.mask.dtype == np.uint8
  assert set(np.unique(rendered.mask)) == {0, 255}


def test_infrared_channels_are_equal_and_visible_ones_are_not():
  for camera in SMOKE.mounts:
    image = render(SMOKE, 5, camera, 1).image
    grey = (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()
    assert grey == (SMOKE.modality(camera) == INFRARED)


def test_mask_covers_a_person_near_the_middle():
  masks = np.stack([render(SMOKE, *key).mask for key in SMOKE.images("test")]) > 0
  cover = masks.mean(axis=(1, 2))
  assert cover.min() > 0.1
  assert cover.max() < 0.75
  assert 0.2 < cover.mean() < 0.5
  height, width = masks.shape[1:]
  middle = masks[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4].mean()
  assert middle > 1.5 * cover.mean()


def test_mask_leaves_out_what_stands_in_front():
  clear = dataclasses.replace(PRESETS["quick"], occlusion=0.0)
  crowded = dataclasses.replace(clear, occlusion=1.0)
  keys = list(clear.images("val"))[:60]
  free = np.array([(render(clear, *key).mask > 0).mean() for key in keys])
  hidden = np.array([(render(crowded, *key).mask > 0).mean() for key in keys])
  assert (hidden <= free + 1e-9).all()
  assert (hidden < 0.95 * free).mean() > 0.4


def test_grey_visible_does_not_predict_infrared_of_the_same_pose():
  """The tone of the same thing over many people; shoes and hair are rather dark in both."""
  garments = [MATERIAL[name] for name in ("top", "bottom", "backpack", "bag", "hat", "scarf")]
  people = [draw_appearance(0, identity, 1.0) for identity in range(400)]
  grey = np.concatenate([p.visible[garments].mean(axis=1) for p in people])
  infrared = np.concatenate([p.infrared[garments] for p in people]).astype(float)
  assert abs(np.corrcoef(grey, infrared)[0, 1]) < 0.06


def test_grey_and_infrared_pixels_of_one_drawing_are_uncorrelated_over_garments():
  correlations = []
  for identity in range(80):
    index = figure(identity)
    person = draw_appearance(0, identity, 1.0)
    shades = index & (FAR - 1)
    clothed = (index > 0) & ~np.isin(shades, [MATERIAL[n] for n in ("skin", "hair", "eyes")])
    near = clothed & (index < FAR)
    grey = person.visible[index[near]].mean(axis=1)
    correlations.append(np.corrcoef(grey, person.infrared[index[near]])[0, 1])
  assert abs(np.nanmean(correlations)) < 0.2
  assert np.nanstd(correlations) > 0.4


def test_pattern_contrast_has_either_sign_in_infrared():
  people = [draw_appearance(0, identity, 1.0) for identity in range(200)]

  def sign(palette):
    step = palette[MATERIAL["top_pattern"]].astype(float) - palette[MATERIAL["top"]]
    return np.sign(step.mean())

  agree = np.mean([sign(person.visible) == sign(person.infrared) for person in people])
  assert 0.38 < agree < 0.62


def test_structure_tells_identities_apart_from_edges_alone():
  """An oracle that sees material borders in another pose still finds the person."""
  turned = dataclasses.replace(VIEW, heading=0.5, stride=0.3, centre=66.0)

  def borders(index):
    step = cv2.Laplacian(index, cv2.CV_32F) != 0
    vector = cv2.resize(cv2.GaussianBlur(step.astype(np.float32), (0, 0), 5), (16, 32)).ravel()
    return (vector - vector.mean()) / vector.std()

  query = np.stack([borders(figure(identity, turned)) for identity in range(40)])
  gallery = np.stack([borders(figure(identity)) for identity in range(40)])
  hits = (query @ gallery.T).argmax(axis=1) == np.arange(40)
  assert hits.mean() > 0.7


def test_camera_3_shares_the_shapes_but_not_the_tones_of_camera_2():
  def edges(camera):
    picture = panorama(0, "sysu_mm01", camera)
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 3)
    return np.hypot(*np.gradient(smooth))

  same = np.corrcoef(edges(2).ravel(), edges(3).ravel())[0, 1]
  other = np.corrcoef(edges(2).ravel(), edges(6).ravel())[0, 1]
  assert same > 0.3 > other + 0.1


def test_infrared_texture_scales_the_contrast_of_patterns():
  def contrast(texture):
    people = [draw_appearance(0, identity, texture) for identity in range(60)]
    tones = np.stack([person.infrared for person in people]).astype(int)
    return np.abs(tones[:, MATERIAL["top"]] - tones[:, MATERIAL["top_pattern"]]).mean()

  assert contrast(0.0) == 0
  assert contrast(0.3) < contrast(1.0)


def test_strangers_cannot_be_identities():
  assert max(PRESETS["full"].identities()) < STRANGERS


def test_unknown_camera_lists_the_known_ones():
  with pytest.raises(UserError, match="no camera 7; it has 1, 2, 3, 4, 5, 6"):
    render(SMOKE, 1, 7, 1)


def test_lossless_formats_give_the_rendered_pixels_back():
  rendered = render(SMOKE, 1, 1, 1)
  for suffix in (".png", ".bmp"):
    stored = np.frombuffer(encode(rendered.image, suffix), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(stored, 1)[..., ::-1], rendered.image)


def test_unknown_format_is_refused():
  with pytest.raises(UserError, match=r"cannot encode '\.gif'"):
    encode(np.zeros((2, 2, 3), np.uint8), ".gif")


def test_encoded_stream_keeps_the_order_of_the_keys():
  keys = list(SMOKE.images("val"))[::-1]
  encoded = list(render_encoded(SMOKE, keys, suffix=".png", masks=True))
  assert [item.key for item in encoded] == keys
  picture = cv2.imdecode(np.frombuffer(encoded[3].mask, np.uint8), cv2.IMREAD_UNCHANGED)
  np.testing.assert_array_equal(picture, render(SMOKE, *keys[3]).mask)


@pytest.mark.slow
def test_worker_processes_give_the_same_bytes():
  keys = (list(SMOKE.images()) * 8)[:2100]
  alone = [item.image for item in render_encoded(SMOKE, keys)]
  shared = [item.image for item in render_encoded(SMOKE, keys, workers=2)]
  assert alone == shared


def test_tone_shift_moves_garments_and_keeps_their_patterns():
  person = draw_appearance(0, 1, 1.0)
  palette = np.full(2 * FAR, 100, np.uint8)
  shifted = shift_tones(palette, np.random.default_rng(0), 1.0).astype(int)
  assert shifted[MATERIAL["top"]] == shifted[MATERIAL["top_pattern"]]
  assert np.array_equal(shifted[:FAR], shifted[FAR:])
  assert 50 <= shifted.min() < 70
  assert 150 < shifted.max() <= 200
  still = shift_tones(person.visible, np.random.default_rng(0), 0.0)
  np.testing.assert_array_equal(still, person.visible)
