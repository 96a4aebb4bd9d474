"""Gallery images to leave out of a query's list, as bool [q, g]."""

from collections.abc import Iterable

import numpy as np

from vireid_jax.common.records import Records


def alike(records: Records, columns: Iterable[str], queries, gallery) -> np.ndarray:
  """Marks gallery images that have the query's values in all given columns.

  Args:
    records: Records of the split.
    columns: Names of columns, such as "identity" and "camera".
    queries: int [q], rows of the records.
    gallery: int [g], rows of the records.
  """
  each = (getattr(records, column) for column in columns)
  return np.logical_and.reduce([of[queries][:, None] == of[gallery][None] for of in each])


def same_place(records: Records, pairs: Iterable[tuple[int, int]], queries, gallery) -> np.ndarray:
  """Marks gallery images by pairs (query camera, gallery camera) of co-located cameras."""
  near = np.zeros((len(queries), len(gallery)), bool)
  for query_camera, gallery_camera in pairs:
    here = np.ix_(
      records.camera[queries] == query_camera, records.camera[gallery] == gallery_camera
    )
    near[here] = True
  return near
