"""The picture of ranked lists: which queries, in which order, framed in which colour."""

import io

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from vireid_jax.common.records import Records
from vireid_jax.data.prepared.source import ImageSet
from vireid_jax.evaluators.protocols.comparison import Comparison
from vireid_jax.experiment import ranked_sheet

CONFIG = ConfigDict(
  {"eval": {"normalize": True}, "data": {"image_size": (8, 4), "resize": "bilinear"}}
)
TILE = (8 + 2 * ranked_sheet.FRAME + 2, 4 + 2 * ranked_sheet.FRAME + 2)


def grey(value):
  buffer = io.BytesIO()
  Image.fromarray(np.full((8, 4, 3), value, np.uint8)).save(buffer, "PNG")
  return buffer.getvalue()


def test_rows_are_the_lists_of_the_protocol():
  identities = np.array([1, 2, 1, 2, 3])
  records = Records(identities, np.ones(5), [1, 1, 0, 0, 0], [f"{row}.png" for row in range(5)])
  images = ImageSet(records, [grey(40 * row) for row in range(5)])
  angles = np.array([0.0, 1.0, 0.3, 0.9, 0.1])
  features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
  exclude = np.zeros((2, 3), bool)
  exclude[1, 1] = True
  comparison = Comparison(np.array([0, 1]), np.array([2, 3, 4]), exclude, False)
  sheet = ranked_sheet.draw(comparison, features, images, CONFIG)
  assert sheet.shape == (2 * TILE[0], 11 * TILE[1], 3) and sheet.dtype == np.uint8

  def tile(row, column):
    found = sheet[row * TILE[0] :, column * TILE[1] :]
    return tuple(found[0, 0].tolist()), int(found[TILE[0] // 2, TILE[1] // 2, 0])

  right, wrong, query = ranked_sheet.RIGHT, ranked_sheet.WRONG, ranked_sheet.QUERY
  blank = ((255, 255, 255), 255)
  assert [tile(0, column) for column in range(5)] == [
    (query, 0),
    (wrong, 160),
    (right, 80),
    (wrong, 120),
    blank,
  ]
  assert [tile(1, column) for column in range(4)] == [(query, 40), (wrong, 80), (wrong, 160), blank]


def test_a_setting_per_modality_of_queries_and_few_queries_of_different_people():
  records = Records(np.arange(40) // 2, np.ones(40), np.arange(40) % 2, ["x"] * 40)
  visible, infrared = np.arange(0, 40, 2), np.arange(1, 40, 2)
  comparisons = {
    "a": Comparison(infrared, visible, None, False),
    "b": Comparison(infrared[:3], visible, None, False),
    "c": Comparison(visible, infrared, None, False),
  }
  assert list(ranked_sheet.one_per_modality(comparisons, records)) == ["a", "c"]
  rows = ranked_sheet._spread(records.identity[np.repeat(infrared, 2)])
  assert rows.tolist() == [0, 6, 10, 16, 22, 28, 32, 38]
