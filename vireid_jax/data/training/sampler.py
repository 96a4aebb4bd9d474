"""Samples batches as pure functions of (seed, step), so that any step can be replayed."""

import dataclasses
import functools

import numpy as np

from vireid_jax.common.errors import UserError, choose
from vireid_jax.common.records import INFRARED, MODALITIES, VISIBLE, Records

MOST_NAMED = 5


@dataclasses.dataclass(frozen=True)
class BatchIndices:
  """Row numbers of the training images in one batch of b pairs.

  Attributes:
    visible: int32 [b], rows of the visible images.
    infrared: int32 [b], rows of the infrared images; pair i shows one identity.
    label: int32 [b], contiguous training labels; images of an identity are adjacent.
    modality: int32 [b, 2], modality of the images in `visible` and in `infrared` if they were drawn
      regardless of it; otherwise None.
  """

  visible: np.ndarray
  infrared: np.ndarray
  label: np.ndarray
  modality: np.ndarray | None = None

  def facts(self, rows: slice | int) -> dict[str, np.ndarray]:
    """Returns what a batch says of some of its pairs: 'label' and, if given, 'modality'."""
    facts = {"label": self.label[rows]}
    return facts if self.modality is None else {**facts, "modality": self.modality[rows]}


class IdentityIndex:
  """Training rows by contiguous label and modality.

  Attributes:
    identities: int32 [c], published identity number of each label.
    modality: int32 [n], modality of each training image.
    rows: Rows[modality][label] is int32 [m], the rows of that identity's images in that modality.
  """

  def __init__(self, records: Records):
    self.identities = records.identities()
    self.rows = {
      modality: [
        np.flatnonzero((records.identity == identity) & (records.modality == modality))
        for identity in self.identities
      ]
      for modality in (VISIBLE, INFRARED)
    }
    self.modality = records.modality
    self._check_both_modalities()

  def __len__(self) -> int:
    return len(self.identities)

  def _check_both_modalities(self) -> None:
    for modality, name in enumerate(MODALITIES):
      missing = [
        i for i, rows in zip(self.identities, self.rows[modality], strict=True) if not len(rows)
      ]
      if missing:
        shown = ", ".join(map(str, missing[:MOST_NAMED])) + (", ..." * (len(missing) > MOST_NAMED))
        raise UserError(
          f"{len(missing)} training identities have no {name} image: {shown}. A batch pairs both "
          "modalities of an identity; leave these identities out with "
          "--config.data.drop_unpaired=True, or complete the data set"
        )


class PairSampler:
  """Draws P distinct identities, then K visible and K infrared images of each, with replacement.

  A nominal epoch has floor(max(visible images, infrared images) / (P K)) + 1 steps, as in published
  code, whose samplers yield a last, full batch but report a shorter length.

  Reference:
    The code published with Ye et al., "Deep Learning for Person Re-identification", TPAMI 2021.
  """

  replace = True

  def __init__(self, index: IdentityIndex, *, num_identities: int, num_instances: int, seed: int):
    _check_size(index, num_identities, num_instances)
    self._index, self._seed = index, seed
    self._num_identities, self._num_instances = num_identities, num_instances
    most = max(sum(map(len, index.rows[modality])) for modality in (VISIBLE, INFRARED))
    self.steps_per_epoch = most // (num_identities * num_instances) + 1

  def batch(self, step: int) -> BatchIndices:
    """Returns the batch of a step, a pure function of (seed, step)."""
    rng = np.random.default_rng((self._seed, step))
    labels = rng.choice(len(self._index), self._num_identities, replace=False)
    draws = {
      modality: [
        rng.choice(self._index.rows[modality][label], self._num_instances, self.replace)
        for label in labels
      ]
      for modality in (VISIBLE, INFRARED)
    }
    return _batch_indices(draws[VISIBLE], draws[INFRARED], labels, self._num_instances)


class GroupSampler:
  """Uses every image at most once per round: shuffled, paired, and drawn in groups of K + K.

  A round subsamples the larger modality of each identity to the size of the smaller, shuffles both
  and pairs them. Each batch takes P random identities that still have a group of K pairs, until
  fewer than P have one. Published code ends its epoch there, at a length that varies slightly; here
  an epoch has the fixed length of a reference round, and continues with a new round if one is
  shorter.

  Reference:
    The code published with Wu et al., "Discover Cross-Modality Nuances", CVPR 2021.
  """

  def __init__(self, index: IdentityIndex, *, num_identities: int, num_instances: int, seed: int):
    _check_size(index, num_identities, num_instances)
    self._index, self._seed = index, seed
    self._num_identities, self._num_instances = num_identities, num_instances
    self._check_groups()
    # Rounds differ in length by a step or two. With a fixed seed the length of an epoch, and with
    # it the schedule, depends only on the data set.
    self.steps_per_epoch = len(self._round((0, 0, 0)))

  def batch(self, step: int) -> BatchIndices:
    """Returns the batch of a step, a pure function of (seed, step)."""
    epoch, position = divmod(step, self.steps_per_epoch)
    visible, infrared, labels = self._epoch(epoch)[position]
    return _batch_indices(visible, infrared, labels, self._num_instances)

  @functools.lru_cache(maxsize=2)  # noqa: B019 (a sampler lives as long as its training run)
  def _epoch(self, epoch: int) -> list:
    batches, attempt = [], 0
    while len(batches) < self.steps_per_epoch:
      batches += self._round((self._seed, epoch, attempt))
      attempt += 1
    return batches[: self.steps_per_epoch]

  def _round(self, key: tuple[int, int, int]) -> list:
    rng = np.random.default_rng(key)
    groups = [self._groups_of(rng, label) for label in range(len(self._index))]
    batches = []
    while True:
      left = np.flatnonzero([len(group) > 0 for group in groups])
      if len(left) < self._num_identities:
        return batches
      labels = rng.choice(left, self._num_identities, replace=False)
      pairs = [groups[label].pop() for label in labels]
      batches.append(([pair[0] for pair in pairs], [pair[1] for pair in pairs], labels))

  def _groups_of(self, rng: np.random.Generator, label: int) -> list:
    visible, infrared = (
      rng.permutation(self._index.rows[modality][label]) for modality in (VISIBLE, INFRARED)
    )
    count = min(len(visible), len(infrared)) // self._num_instances
    starts = range(0, count * self._num_instances, self._num_instances)
    return [
      (visible[s : s + self._num_instances], infrared[s : s + self._num_instances]) for s in starts
    ]

  def _check_groups(self) -> None:
    smallest = _smallest_groups(self._index)
    enough = sum(count >= self._num_instances for count in smallest)
    if enough < self._num_identities:
      most = sorted(smallest)[-self._num_identities]
      raise UserError(
        f"only {enough} identities have {self._num_instances} images in each modality, fewer than "
        f"sampler.num_identities = {self._num_identities}; set --config.sampler.num_instances to "
        f"at most {most}"
      )


class AnyModalitySampler(GroupSampler):
  """Uses every image at most once per round, in groups of 2 K images of either modality.

  An identity with fewer than 2 K images has one group per round, drawn with replacement. Rounds and
  epochs are as in `GroupSampler`. The first half of a group is in `visible`, the second one in
  `infrared`; `BatchIndices.modality` tells what they are.

  Reference:
    The code published with Liang et al., "Bridging the Gap: Multi-Level Cross-Modality Joint
    Alignment for Visible-Infrared Person Re-Identification", TCSVT 2024.
  """

  any_modality = True

  def batch(self, step: int) -> BatchIndices:
    """Returns the batch of a step, a pure function of (seed, step)."""
    batch = super().batch(step)
    modality = self._index.modality[np.stack([batch.visible, batch.infrared], axis=1)]
    return dataclasses.replace(batch, modality=modality)

  def _groups_of(self, rng: np.random.Generator, label: int) -> list:
    rows = np.concatenate([self._index.rows[modality][label] for modality in (VISIBLE, INFRARED)])
    size = 2 * self._num_instances
    if len(rows) < size:
      rows = rng.choice(rows, size)
    rows = rng.permutation(rows)
    return [
      np.split(rows[start : start + size], 2) for start in range(0, len(rows) - size + 1, size)
    ]

  def _check_groups(self) -> None:
    """Every identity has a group."""


class DistinctPairSampler(PairSampler):
  """Like `PairSampler`, but the K images of an identity and modality are all different.

  Every identity needs K images in each modality.

  Reference:
    The code published with Lu et al., "Learning Progressive Modality-shared Transformers", AAAI
    2023.
  """

  replace = False

  def __init__(self, index: IdentityIndex, *, num_identities: int, num_instances: int, seed: int):
    super().__init__(index, num_identities=num_identities, num_instances=num_instances, seed=seed)
    smallest = _smallest_groups(index)
    few = [i for i, count in zip(index.identities, smallest, strict=True) if count < num_instances]
    if few:
      shown = ", ".join(map(str, few[:MOST_NAMED])) + (", ..." * (len(few) > MOST_NAMED))
      raise UserError(
        f"sampler.name = 'distinct_pairs' draws {num_instances} different images, but "
        f"{len(few)} training identities have fewer in one modality: {shown}; set "
        f"--config.sampler.num_instances to at most {min(smallest)}, or --config.sampler.name=pairs"
        ", which may draw an image twice"
      )


SAMPLERS = {
  "pairs": PairSampler,
  "groups": GroupSampler,
  "any_modality": AnyModalitySampler,
  "distinct_pairs": DistinctPairSampler,
}


def create(name: str, index: IdentityIndex, *, seed: int, **arguments):
  """Builds a sampler by its name in `SAMPLERS`; see the classes for its arguments."""
  return choose(name, SAMPLERS, "sampler")(index, seed=seed, **arguments)


def _smallest_groups(index: IdentityIndex) -> list[int]:
  """Returns the number of images of each identity in the modality that has fewer."""
  return [
    min(len(index.rows[modality][label]) for modality in (VISIBLE, INFRARED))
    for label in range(len(index))
  ]


def _check_size(index: IdentityIndex, num_identities: int, num_instances: int) -> None:
  if num_identities < 2 or num_instances < 1:
    raise UserError(
      f"sampler.num_identities = {num_identities} and sampler.num_instances = {num_instances}: a "
      "batch needs at least 2 identities and 1 image of each modality"
    )
  if len(index) < 2:
    raise UserError(
      f"the training data have {len(index)} {'identity' if len(index) == 1 else 'identities'}; a "
      "batch needs at least 2, because losses compare different identities. Add splits to config."
      "data.train_splits, or prepare a data set with more identities"
    )
  if num_identities > len(index):
    raise UserError(
      f"sampler.num_identities = {num_identities}, but the training data have {len(index)} "
      f"identities; set --config.sampler.num_identities to at most {len(index)}"
    )


def _batch_indices(visible, infrared, labels: np.ndarray, num_instances: int) -> BatchIndices:
  return BatchIndices(
    np.concatenate(visible).astype(np.int32),
    np.concatenate(infrared).astype(np.int32),
    np.repeat(labels, num_instances).astype(np.int32),
  )
