"""TMPA: pairs mixed by pedestrian regions; shared and specific features; transferred ones.

Reference:
  "Transferring Modality-Aware Pedestrian Attentive Learning for Visible-Infrared Person
  Re-identification", arXiv 2312.07021.

What the paper says: region-based mixing of corresponding pedestrian regions with a mix ratio
(PedMix), compared with CutMix and global mixing; separate extractors for modality-shared and
-specific features under a shared-specific loss (MFE, MSS); a lightweight transfer of specific
features that integrates cross attention and convolution (MFT); identity, WRT and MSS losses with
balance weights; fewer parameters than earlier compensation models.

Choices where the paper, as far as it is known to us, is silent; each is an option:
  PedMix: where the region comes from (`region`), bands and how they are laid on each other
    (`strategy`, `bands`, `align`, `overlap`), `probability`; both directions with one draw.
  MFE: the depth at which extractors part (`split`); shared and specific stages have equal form.
  MSS: its formula, the weights of its parts (`mss_specific_weight`, `mss_decoupling_weight`), and
    that it reads features after the neck (`mss_feature`).
  MFT: it reads one image's own maps, since there is no partner at test; queries from the shared
    map; the widths (`reduction`, `heads`); its supervision: distance to the other modality's
    identity centre (`mft_feature`, `mft_target`), and that modality's classifier, which does not
    learn from it.
  The feature: shared, visible, infrared (`fusion`), the last two at a tenth of the scale after
    the neck at first (`specific_scale`). Without MFT it is the shared one alone. WRT on the shared
    one (`metric_feature`).
  The weights of all terms.
"""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import Number, OneOf, Share, Weight, Whole
from vireid_jax.common.records import MODALITIES, mask_name
from vireid_jax.common.types import Batch, Variables
from vireid_jax.data.training import augment
from vireid_jax.losses.shared_specific import SharedSpecific
from vireid_jax.losses.transfer import transfer_angle, transfer_distance
from vireid_jax.methods.base import LossOutput, MetricLoss
from vireid_jax.methods.tmpa import region as region_lib
from vireid_jax.methods.tmpa.fusion import FUSIONS, Fusion
from vireid_jax.methods.tmpa.mfe import MFE, SPLITS
from vireid_jax.methods.tmpa.mft import ATTENTION, MFT, PATHS, transfer_width
from vireid_jax.methods.tmpa.network import TMPANetwork
from vireid_jax.methods.tmpa.pedmix import ALIGNMENTS, OVERLAPS, STRATEGIES, PedMix
from vireid_jax.models.head import Head, Place, Pooling, scale_by_part
from vireid_jax.models.numerics import ConvImplementation, Dtype, Numerics
from vireid_jax.models.resnet import Depth, Width, feature_size
from vireid_jax.models.two_stream import merge, split

NO_TRANSFER = "none"
# The ablation: what each row changes of the whole method.
VARIANTS = {
  "base": {"mfe": False, "mft": NO_TRANSFER, "strategy": "none"},
  "mfe": {"mft": NO_TRANSFER, "strategy": "none"},
  "attention": {"mft": "attention", "strategy": "none"},
  "convolution": {"mft": "convolution", "strategy": "none"},
  "mft": {"strategy": "none"},
  "pedmix": {"mfe": False, "mft": NO_TRANSFER},
}


@dataclasses.dataclass(frozen=True)
class TMPA:
  """L = identity + shared identity + specific identity + metric + MSS + MFT, on mixed pairs.

  Attributes:
    num_classes: training identities.
    steps_per_epoch: unused here.
    depth: of the ResNet: 18, 34 or 50.
    width: channels of its stem; 64 is the full size.
    split: after which stage the extractors part: 'stage2' or 'stage3'; see `methods.tmpa.mfe`.
    mfe: with the specific extractors, their classifiers and the MSS loss.
    mft: with the transfer, by 'both' paths, 'attention' or 'convolution' alone; or 'none'.
    reduction, heads: of the transfer; see `methods.tmpa.mft`.
    fusion: of the modality-complete feature, 'concat3' or 'weighted'.
    pooling: 'gem' or 'average'.
    feature: what retrieval uses, 'after_neck' or 'before_neck'.
    metric_loss: 'wrt', 'wrt_legacy' or 'triplet'.
    margin: of 'triplet'.
    specific_scale: of the visible and infrared parts of 'concat3' after the neck, where the shared
      part starts with 1; learned from there. All three at 1, two parts of which one is made would
      outweigh the shared one.
    metric_feature: what the metric loss reads, before the neck: the 'shared' part, 'each' part, of
      which the losses add up, or the whole 'feature', in which the made parts teach the shared one
      their mistakes.
    identity_weight, shared_weight: of the identity losses of the feature and of its shared part.
      Without a transfer these are one, and its weight is their sum: the variants then differ in
      their parts and not in how much the other terms count beside identity.
    metric_weight, specific_weight, mss_weight, mft_weight: of the other terms.
    mss_feature: what MSS reads. 'before_neck' all features point nearly the same way, so that
      shared ones are always together and nothing is learned; 'after_neck' they are centred.
    mss_margin, mss_specific_weight, mss_decoupling_weight: within MSS; see
      `losses.shared_specific`.
    mft_feature: where made features are compared with true ones: 'after_neck' as directions,
      'before_neck' by their mean absolute difference.
    mft_target: true features are 'fixed', or come towards made ones too ('joint'), which can
      end with all of them in one point.
    strategy, ratio, probability, bands, align, overlap: of PedMix; see `methods.tmpa.pedmix`.
    region: of the pedestrian: 'prior', 'mask' (the data set's) or 'cam' (the network's own
      activation, above its mean).
    cam_warmup: steps for which 'cam' takes the prior, until the network looks at people.
    dtype, conv_impl, unbiased_variance: see `models.numerics.Numerics`.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  split: Annotated[str, OneOf(SPLITS)] = "stage2"
  mfe: bool = True
  mft: Annotated[str, OneOf(*PATHS, NO_TRANSFER)] = "both"
  reduction: Annotated[int, Whole(1, 8192)] = 8
  heads: Annotated[int, Whole(1, 8192)] = 4
  fusion: Annotated[str, OneOf(FUSIONS)] = "concat3"
  specific_scale: Annotated[float, Number(0, 1e6, open_low=True)] = 0.1
  pooling: Pooling = "gem"
  feature: Place = "after_neck"
  metric_loss: MetricLoss = "wrt"
  margin: Weight = 0.3
  metric_feature: Annotated[str, OneOf("shared", "each", "feature")] = "shared"
  metric_weight: Weight = 1.0
  identity_weight: Weight = 0.5
  shared_weight: Weight = 0.5
  specific_weight: Weight = 1.0
  mss_weight: Weight = 1.0
  mss_feature: Place = "after_neck"
  mss_margin: Weight = 1.0
  mss_specific_weight: Weight = 0.5
  mss_decoupling_weight: Weight = 0.5
  mft_weight: Weight = 1.0
  mft_feature: Place = "after_neck"
  mft_target: Annotated[str, OneOf("fixed", "joint")] = "fixed"
  strategy: Annotated[str, OneOf(STRATEGIES)] = "swap"
  region: Annotated[str, OneOf(region_lib.SOURCES)] = "prior"
  cam_warmup: Annotated[int, Whole(0)] = 2000
  ratio: Share = 0.5
  probability: Share = 0.5
  bands: Annotated[int, Whole(1, 1000)] = 6
  align: Annotated[str, OneOf(ALIGNMENTS)] = "rows"
  overlap: Annotated[str, OneOf(OVERLAPS)] = "both"
  dtype: Dtype = "auto"
  conv_impl: ConvImplementation = "auto"
  unbiased_variance: bool = False

  def __post_init__(self):
    options.check(self)
    if self._transfers and not self.mfe:
      raise UserError(
        f"method tmpa: mft = {self.mft!r} transfers specific features, but mfe = False has none; "
        "set method.mft='none' too"
      )
    if self._transfers:
      transfer_width(feature_size(self.depth, self.width), self.reduction, self.heads)
    _ = self.pedmix  # checks its own arguments

  @property
  def pedmix(self) -> PedMix:
    """How pairs are mixed."""
    return PedMix(self.strategy, self.ratio, self.probability, self.bands, self.align, self.overlap)

  @property
  def needs_masks(self) -> bool:
    """Whether `mix` reads the data set's pedestrian masks."""
    return self.pedmix.is_regional and self.region == "mask"

  @property
  def no_decay(self) -> tuple[str, ...]:
    """The scales of the two paths, whose ratio weight decay would pull to nothing."""
    return ("attention_scale", "convolution_scale") if self.mft == "both" else ()

  @property
  def network(self) -> TMPANetwork:
    """The Linen module."""
    numerics = Numerics(self.dtype, self.conv_impl, self.unbiased_variance)

    def head(wanted: bool) -> Head | None:
      return Head(self.num_classes, numerics) if wanted else None

    def transfer() -> MFT | None:
      if not self._transfers:
        return None
      return MFT(self.reduction, self.heads, self.mft, numerics)

    return TMPANetwork(
      backbone=MFE(self.depth, self.width, self.split, self.mfe, numerics),
      from_visible=transfer(),
      from_infrared=transfer(),
      fusion=Fusion(self.fusion, numerics) if self._transfers else None,
      head=self._head(numerics),
      shared_head=head(self._transfers),
      visible_head=head(self.mfe),
      infrared_head=head(self.mfe),
      pooling=self.pooling,
    )

  @property
  def trivial_values(self) -> dict[str, float]:
    """What terms are when all features are equal; see `methods.base.Method`."""
    value = losses.trivial_value(self.metric_loss, margin=self.margin)
    count = 3 if self._transfers and self.metric_feature == "each" else 1
    return {self.metric_loss: self.metric_weight * count * value}

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
    """The terms of a batch; see `methods.base.Method`."""
    del rngs, step
    outputs, updates = self.network.apply(
      variables, batch["visible"], batch["infrared"], mutable=["batch_stats"]
    )
    label = batch["label"]
    labels = merge(label, label)
    metric = sum(
      losses.metric_loss(self.metric_loss, rows, labels, margin=self.margin)
      for rows in self._metric_rows(outputs)
    )
    identity_weight = self.identity_weight + (0 if self._transfers else self.shared_weight)
    terms = {
      "identity": identity_weight * losses.cross_entropy(outputs["logits"], labels),
      self.metric_loss: self.metric_weight * metric,
    }
    metrics = {"accuracy": (outputs["logits"].argmax(-1) == labels).mean()}
    for add in (self._add_specific, self._add_transfer):
      add(outputs, label, terms, metrics)
    return LossOutput(
      terms=terms,
      metrics=metrics,
      collections={k: v for k, v in variables.items() if k != "params"} | updates,
    )

  def embed(self, variables: Variables, images: Array, modality: str) -> Array:
    """The feature of images of one modality, from nothing else; see `methods.base.Method`."""
    name = TMPANetwork.embed if self.feature == "after_neck" else TMPANetwork.pool_single
    return self.network.apply(variables, images, modality, method=name)

  def attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
    """What each position of the specific map gets from the shared map's; see `Method`.

    Empty where the transfer has no attention.
    """
    if self.mft not in ("both", "attention"):
      return {}
    _, seen = self.network.apply(
      variables,
      images,
      modality,
      method=TMPANetwork.pool_single,
      mutable=["intermediates"],
    )
    (weights,) = seen["intermediates"][f"from_{modality}"][ATTENTION]
    return {"attention": weights}

  def forward_features(self, variables: Variables, images: Array, modality: str) -> Array:
    """The shared and the specific map before the transfer; see `methods.base.Method`."""
    return self.network.apply(variables, images, modality, method=TMPANetwork.forward_features)

  def forward_head(self, variables: Variables, forward_features: Array, modality: str) -> Array:
    """The feature from the maps before the transfer; see `methods.base.Method`."""
    after_neck, name = self.feature == "after_neck", TMPANetwork.forward_head
    return self.network.apply(variables, forward_features, modality, after_neck, method=name)

  @property
  def _transfers(self) -> bool:
    return self.mft != NO_TRANSFER

  def _head(self, numerics: Numerics) -> Head:
    """Makes the head of the feature that retrieval uses."""
    if not self._transfers or self.fusion != "concat3":
      return Head(self.num_classes, numerics)
    scales = scale_by_part(1.0, self.specific_scale, self.specific_scale)
    return Head(self.num_classes, numerics, scale_init=scales)

  def _metric_rows(self, outputs: dict) -> tuple[Array, ...]:
    """What the metric loss reads, one after the other."""
    return outputs["parts"] if self.metric_feature == "each" else (outputs[self.metric_feature],)

  def _add_specific(self, outputs: dict, label: Array, terms: dict, metrics: dict) -> None:
    if not self.mfe:
      return
    own = _mean([losses.cross_entropy(logits, label) for logits in outputs["own_logits"]])
    place = "_after_neck" if self.mss_feature == "after_neck" else ""
    parts = losses.shared_specific(
      split(outputs[f"shared{place}"]), outputs[f"own{place}"], label, margin=self.mss_margin
    )
    total = parts.total(
      specific_weight=self.mss_specific_weight, decoupling_weight=self.mss_decoupling_weight
    )
    terms["specific_identity"] = self.specific_weight * own
    terms["mss"] = self.mss_weight * total
    names = SharedSpecific._fields
    metrics |= {f"mss/{name}": part for name, part in zip(names, parts, strict=True)}

  def _add_transfer(self, outputs: dict, label: Array, terms: dict, metrics: dict) -> None:
    if not self._transfers:
      return
    labels = merge(label, label)
    distance = self._distance(outputs, label)
    judged = _mean([losses.cross_entropy(logits, label) for logits in outputs["made_logits"]])
    shared = losses.cross_entropy(outputs["shared_logits"], labels)
    terms["shared_identity"] = self.shared_weight * shared
    terms["mft"] = self.mft_weight * (distance + judged)
    metrics |= {"mft/distance": distance, "mft/identity": judged}

  def _distance(self, outputs: dict, label: Array) -> Array:
    """How far made features are from true ones, the mean of both directions."""
    place = "_after_neck" if self.mft_feature == "after_neck" else ""
    apart = transfer_angle if place else transfer_distance
    both = zip(outputs[f"made{place}"], outputs[f"own{place}"], strict=True)
    fixed = self.mft_target == "fixed"
    return _mean([apart(made, own, label, fixed=fixed) for made, own in both])

  def _regions(self, variables: Variables, batch: Batch, step: Array):
    if self.region == "mask":
      return tuple(region_lib.from_masks(batch[mask_name(name)]) for name in MODALITIES)
    shape = batch["visible"].shape[:3]
    prior = jnp.asarray(region_lib.prior(*shape[1:]))
    if self.region == "prior":
      return prior
    return jax.lax.cond(
      step < self.cam_warmup,
      lambda: (jnp.broadcast_to(prior, shape),) * 2,
      lambda: tuple(self.attended_region(variables, batch[name], name) for name in MODALITIES),
    )

  def attended_region(self, variables: Variables, images: Array, modality: str) -> Array:
    """The region of uint8 images [b, h, w, 3] at which the network looks as it stands."""
    # The key is unused: normalising is the same for every image.
    pixels = augment.make_pipeline(("normalize()",))(jax.random.key(0), images)
    energy = self.network.apply(variables, pixels, modality, method=TMPANetwork.energy)
    return jax.lax.stop_gradient(region_lib.from_energy(energy, *images.shape[1:3]))


def _mean(values: list[Array]) -> Array:
  return sum(values) / len(values)
