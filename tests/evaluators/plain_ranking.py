"""Ranking restated query by query from the definitions, to check the fast one against."""

import numpy as np


def plain_ranking(
  similarity, query_ids, gallery_ids, exclude=None, unique_identities=False, max_rank=20
):
  """Sorts each query's list in Python; same arguments and result as `evaluate_ranking`."""
  cmc, precisions, penalties = np.zeros(max_rank), [], []
  for q, identity in enumerate(query_ids):
    kept = [g for g in range(len(gallery_ids)) if exclude is None or not exclude[q][g]]
    ranked = sorted(kept, key=lambda g: (-similarity[q][g], g))
    listed = [gallery_ids[g] for g in ranked]
    ranks = [rank for rank, other in enumerate(listed, start=1) if other == identity]
    if not ranks:
      continue
    first = list(dict.fromkeys(listed)) if unique_identities else listed
    cmc[first.index(identity) :] += 1
    precisions.append(np.mean([j / rank for j, rank in enumerate(ranks, start=1)]))
    penalties.append(len(ranks) / ranks[-1])
  count = len(precisions)
  return {
    "cmc": cmc / max(count, 1),
    "mAP": sum(precisions) / max(count, 1),
    "mINP": sum(penalties) / max(count, 1),
    "valid_queries": count,
  }


def assert_same(got, want):
  """Asserts that two summaries agree to rounding."""
  assert got["valid_queries"] == want["valid_queries"]
  np.testing.assert_allclose(got["cmc"], want["cmc"], atol=1e-12)
  np.testing.assert_allclose([got["mAP"], got["mINP"]], [want["mAP"], want["mINP"]], atol=1e-12)
