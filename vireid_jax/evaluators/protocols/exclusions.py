"""Which gallery images are left out of a query's list: bool [q, g] from rows of the records."""

from collections.abc import Iterable

import numpy as np

from vireid_jax.common.records import Records


def alike(records: Records, columns: Iterable[str], queries, gallery) -> np.ndarray:
  """Marks gallery images that equal the query in all of some columns of the records.

  Args:
    records: the split.
    columns: such as "identity" and "camera".
    queries: int [q], rows of the records.
    gallery: int [g], rows of the records.
  """
  each = (getattr(records, column) for column in columns)
  return np.logical_and.reduce([of[queries][:, None] == of[gallery][None] for of in each])


def same_place(records: Records, pairs: Iterable[tuple[int, int]], queries, gallery) -> np.ndarray:
  """Marks gallery images from the query's place, given as pairs (query camera, gallery camera)."""
  near = np.zeros((len(queries), len(gallery)), bool)
  for query_camera, gallery_camera in pairs:
    here = np.ix_(
      records.camera[queries] == query_camera, records.camera[gallery] == gallery_camera
    )
    near[here] = True
  return near
