"""TMPA: pairs mixed by pedestrian region; shared, specific and transferred features.

Reference:
  "Transferring Modality-Aware Pedestrian Attentive Learning for Visible-Infrared Person
  Re-identification", arXiv 2312.07021.

From the paper: mixing of corresponding pedestrian regions with a mix ratio (PedMix), compared with
CutMix and global mixing; separate extractors for modality-shared and
-specific features under a shared-specific loss (MFE, MSS); a lightweight transfer of specific
features that integrates cross attention and convolution (MFT); identity, WRT and MSS losses with
balance weights; fewer parameters than earlier compensation models.

Choices where the paper, as far as it is known to us, is silent:
  PedMix: the source of the region (`pedmix.region`), the bands and their mapping,
    `pedmix.probability`; one draw for both directions.
  MFE: the depth at which the extractors branch (`branch_stage`); shared and specific stages have
    the same architecture.
  MSS: its formula (losses/shared_specific.py); it reads features after the neck, since those before
    it all point in nearly the same direction and nothing is learned.
  MFT: it reads the maps of one image, since there is no pair at test time; queries come from the
    shared map; the widths (`reduction`, `heads`); the supervision is the distance to the other
    modality's identity mean after the neck, and that modality's classifier, which is not trained by
    it.
  The feature: shared, visible and infrared features concatenated. The last two start at a tenth of
    the scale after the neck: they would otherwise outweigh the shared one, though one of them is
    only transferred. Without MFT it is the shared feature. WRT reads the shared feature.
  The weights of all terms. docs/results.md has the alternatives that were tried.
"""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.durations import Clock
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import OneOf, Weight, Whole
from vireid_jax.common.records import MODALITIES, mask_name
from vireid_jax.common.types import Batch, Variables
from vireid_jax.data.training import augment
from vireid_jax.losses.shared_specific import SharedSpecific
from vireid_jax.losses.transfer import transfer_distance
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.common import Metric
from vireid_jax.methods.tmpa import region as region_lib
from vireid_jax.methods.tmpa.mfe import BRANCH_STAGES, MFE
from vireid_jax.methods.tmpa.mft import ATTENTION, MFT, PATHS, transfer_width
from vireid_jax.methods.tmpa.network import TMPANetwork
from vireid_jax.methods.tmpa.pedmix import PedMix
from vireid_jax.models.head import Head, Place, Pooling, scale_by_part
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Depth, Width, feature_size
from vireid_jax.models.two_stream import merge_labels, split

NO_TRANSFER = "none"
# Weights of the identity losses of the whole feature and of the shared one. Without a transfer both
# are the same feature, weighted by the sum, so that variants do not differ in how much the other
# terms count against identity.
FEATURE_WEIGHT = SHARED_WEIGHT = 0.5
TRANSFERRED_SCALE = 0.1  # initial scale of the visible and infrared features after the neck
UNMIXED = {"pedmix": {"strategy": "none"}}
# The rows of the ablation: changes to the full method.
VARIANTS = {
  "base": {"mfe": False, "mft": NO_TRANSFER, **UNMIXED},
  "mfe": {"mft": NO_TRANSFER, **UNMIXED},
  "attention": {"mft": "attention", **UNMIXED},
  "convolution": {"mft": "convolution", **UNMIXED},
  "mft": UNMIXED,
  "pedmix": {"mfe": False, "mft": NO_TRANSFER},
}


@dataclasses.dataclass(frozen=True)
class TMPA:
  """L = identity + shared identity + specific identity + metric + MSS + MFT, on mixed pairs.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Number of steps in an epoch, for `pedmix.cam_warmup`.
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    branch_stage: Stage after which shared and specific extractors branch: 2 or 3.
    mfe: Use the specific extractors, with their classifiers and the MSS loss.
    mft: Paths of the transfer: 'both', 'attention' or 'convolution'; 'none' disables the transfer.
    reduction: Factor by which the transfer's projections narrow the channels.
    heads: Number of attention heads of the transfer.
    pooling: 'gem' or 'average'.
    feature: Retrieval feature, 'after_neck' or 'before_neck'.
    metric: Metric loss on the shared features before the neck.
    mss_weight: Weight of the MSS loss. A weight of 0 leaves its term out.
    mft_weight: Weight of the loss that supervises the transfer.
    pedmix: Options of PedMix.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  branch_stage: Annotated[int, OneOf(BRANCH_STAGES)] = 2
  mfe: bool = True
  mft: Annotated[str, OneOf(*PATHS, NO_TRANSFER)] = "both"
  reduction: Annotated[int, Whole(1, 8192)] = 8
  heads: Annotated[int, Whole(1, 8192)] = 4
  pooling: Pooling = "gem"
  feature: Place = "after_neck"
  metric: Metric = Metric("wrt")
  mss_weight: Weight = 1.0
  mft_weight: Weight = 1.0
  pedmix: PedMix = PedMix()
  numerics: Numerics = Numerics()

  def __post_init__(self):
    options.check(self)
    if self._transfers and not self.mfe:
      raise UserError(
        f"method tmpa: mft = {self.mft!r} transfers specific features, but mfe = False disables "
        "them; set method.mft='none' too"
      )
    if self._transfers:
      transfer_width(feature_size(self.depth, self.width), self.reduction, self.heads)
    _ = self._cam_warmup  # refuses an impossible duration before anything compiles

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def needs_masks(self) -> bool:
    """Whether `mix` reads the data set's pedestrian masks."""
    return self.pedmix.needs_masks

  @property
  def no_decay(self) -> tuple[str, ...]:
    """The scales of the two paths, which weight decay would shrink to zero."""
    return ("attention_scale", "convolution_scale") if self.mft == "both" else ()

  @property
  def network(self) -> TMPANetwork:
    """The Linen module."""
    numerics = self.numerics

    def head(used: bool) -> Head | None:
      return Head(self.num_classes, numerics) if used else None

    def transfer() -> MFT | None:
      return MFT(self.reduction, self.heads, self.mft, numerics) if self._transfers else None

    return TMPANetwork(
      backbone=MFE(self.depth, self.width, self.branch_stage, self.mfe, numerics),
      from_visible=transfer(),
      from_infrared=transfer(),
      head=self._feature_head(),
      shared_head=head(self._transfers),
      visible_head=head(self.mfe),
      infrared_head=head(self.mfe),
      pooling=self.pooling,
    )

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`."""
    return self.metric.trivial_values

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics; see `methods.base.Method`."""
    return dict(self.network.init(rng, batch["visible"], batch["infrared"]))

  def mix(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> Batch:
    """Mixes the images of each pair; see `methods.base.Method`."""
    images = tuple(batch[name] for name in MODALITIES)
    regions = self._regions(variables, batch, step) if self.pedmix.is_regional else None
    mixed = self.pedmix(rngs, images, regions)
    return batch | dict(zip(MODALITIES, mixed, strict=True))

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """Computes the terms of a batch; see `methods.base.Method`."""
    del rngs, step
    outputs, updates = self.network.apply(
      variables, batch["visible"], batch["infrared"], mutable=["batch_stats"]
    )
    label = batch["label"]
    labels = merge_labels(label)
    identity = losses.cross_entropy(outputs["logits"], labels)
    weight = FEATURE_WEIGHT if self._transfers else FEATURE_WEIGHT + SHARED_WEIGHT
    terms = {"identity": weight * identity, **self.metric.terms(outputs["shared"], labels)}
    metrics = common.accuracy(outputs["logits"], labels)
    for add in (self._add_specific, self._add_transfer):
      add(outputs, label, terms, metrics)
    return LossOutput(
      terms=terms, metrics=metrics, collections=common.collections(variables, updates)
    )

  def attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
    """Returns the attention that each position of the specific map receives.

    Empty if the transfer has no attention path. See `methods.base.Method`.
    """
    if self.mft not in ("both", "attention"):
      return {}
    features = self.forward_features(variables, images, modality)
    _, sown = self.network.apply(
      variables, features, modality, self.feature, method="forward_head", mutable=["intermediates"]
    )
    (weights,) = sown["intermediates"][f"from_{modality}"][ATTENTION]
    return {"attention": weights}

  @property
  def _transfers(self) -> bool:
    return self.mft != NO_TRANSFER

  @property
  def _cam_warmup(self) -> int:
    """Number of steps before the region is taken from the network's activation."""
    clock = Clock(self.steps_per_epoch, batch_images=None)
    return clock.steps(self.pedmix.cam_warmup, key="method.pedmix.cam_warmup")

  def _feature_head(self) -> Head:
    """Returns the head of the retrieval feature."""
    if not self._transfers:
      return Head(self.num_classes, self.numerics)
    scales = scale_by_part(1.0, TRANSFERRED_SCALE, TRANSFERRED_SCALE)
    return Head(self.num_classes, self.numerics, scale_init=scales)

  def _add_specific(self, outputs: dict, label: Array, terms: dict, metrics: dict) -> None:
    if not self.mfe:
      return
    identity = [losses.cross_entropy(logits, label) for logits in outputs["specific_logits"]]
    terms["specific_identity"] = _mean(identity)
    if self.mss_weight:
      shared = split(outputs["shared_after_neck"])
      mss = losses.shared_specific(shared, outputs["specific_after_neck"], label)
      terms["mss"] = self.mss_weight * mss.total()
      names = SharedSpecific._fields
      metrics |= {f"mss/{name}": term for name, term in zip(names, mss, strict=True)}

  def _add_transfer(self, outputs: dict, label: Array, terms: dict, metrics: dict) -> None:
    if not self._transfers:
      return
    shared = losses.cross_entropy(outputs["shared_logits"], merge_labels(label))
    terms["shared_identity"] = SHARED_WEIGHT * shared
    if self.mft_weight:
      pairs = zip(outputs["transferred_after_neck"], outputs["specific_after_neck"], strict=True)
      distance = _mean([transfer_distance(transferred, true, label) for transferred, true in pairs])
      logits = outputs["transferred_logits"]
      identity = _mean([losses.cross_entropy(x, label) for x in logits])
      terms["mft"] = self.mft_weight * (distance + identity)
      metrics |= {"mft/distance": distance, "mft/identity": identity}

  def _regions(self, variables: Variables, batch: Batch, step: Array):
    if self.pedmix.region == "mask":
      return tuple(region_lib.from_masks(batch[mask_name(name)]) for name in MODALITIES)
    shape = batch["visible"].shape[:3]
    prior = jnp.asarray(region_lib.prior(*shape[1:]))
    if self.pedmix.region == "prior":
      return prior
    return jax.lax.cond(
      step < self._cam_warmup,
      lambda: (jnp.broadcast_to(prior, shape),) * 2,
      lambda: tuple(self.attended_region(variables, batch[name], name) for name in MODALITIES),
    )

  def attended_region(self, variables: Variables, images: Array, modality: str) -> Array:
    """Returns the region [b, h, w] of uint8 images [b, h, w, 3] that the network attends to."""
    # The key is unused: normalisation is deterministic.
    pixels = augment.make_pipeline(("normalize()",))(jax.random.key(0), images)
    energy = self.network.apply(variables, pixels, modality, method=TMPANetwork.energy)
    return jax.lax.stop_gradient(region_lib.from_energy(energy, *images.shape[1:3]))


def _mean(values: list[Array]) -> Array:
  return sum(values) / len(values)
