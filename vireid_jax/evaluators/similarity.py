"""Similarity of queries to gallery images."""

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.runtime import platform


def l2_normalize(features: np.ndarray) -> np.ndarray:
  """Scales each row of `features` [n, d] to unit length; rows of zeros stay zero."""
  norm = np.sqrt(np.einsum("nd,nd->n", features, features))
  return features / np.maximum(norm, 1e-12)[:, None]


def similarity_matrix(query, gallery, *, normalize: bool = True) -> np.ndarray:
  """Compares every query with every gallery image; larger is closer.

  Args:
    query: float [q, d]; float64 is kept, other types are computed in float32.
    gallery: float [g, d].
    normalize: Whether to use cosine similarity; otherwise the negative squared Euclidean distance
      of the raw features, as in published code without normalisation.

  Returns:
    float [q, g].

  Raises:
    UserError: A feature is NaN or infinite.
  """
  query, gallery = _checked(query, "query"), _checked(gallery, "gallery")
  if normalize:
    return _product(l2_normalize(query), l2_normalize(gallery))
  similarity = 2 * _product(query, gallery)
  similarity -= np.einsum("qd,qd->q", query, query)[:, None]
  similarity -= np.einsum("gd,gd->g", gallery, gallery)[None]
  return similarity


def _checked(features, role):
  features = np.asarray(features)
  if features.dtype != np.float64:
    features = features.astype(np.float32, copy=False)
  broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
  if len(broken):
    raise UserError(
      f"{len(broken)} of {len(features)} {role} features hold NaN or infinite values (first: row "
      f"{broken[0]}); the network has probably diverged. Lower the learning rate, or restore an "
      "earlier checkpoint"
    )
  return features


def _product(query, gallery):
  """Returns query @ gallery.T, in float32 on an accelerator if there is one."""
  import jax

  if query.dtype == np.float64 or platform.is_cpu():
    return query @ gallery.T  # OpenBLAS is faster than XLA on a CPU
  # The default precision of TPUs and tensor cores would cause ties and change ranks.
  product = jax.numpy.matmul(query, gallery.T, precision=jax.lax.Precision.HIGHEST)
  return np.asarray(product)
