"""Renamed and removed keys of earlier versions, for helpful errors."""

# Old key -> new key.
MOVED = {
  "init_from": "pretrained",
  "data.split": "data.trial",
  "data.train": "data.train_splits",
  "sampler.identities": "sampler.num_identities",
  "sampler.images": "sampler.num_instances",
  "optim.update": "optim.update_every",
  "eval.part": "eval.split",
  "eval.rerank_options.lambda_": "eval.rerank_options.lambda_value",
  "eval.rerank_options.neighbours_among_queries": "eval.rerank_options.query_only",
  "method.dtype": "numerics.dtype",
  "method.conv_impl": "numerics.conv_impl",
  "method.unbiased_variance": "numerics.unbiased_variance",
  "method.specific_depth": "method.num_specific_stages",
  "method.metric_loss": "method.metric.name",
  "method.metric_weight": "method.metric.weight",
  "method.margin": "method.metric.margin",
  "method.separation": "method.separation_weight",
  "method.center_cluster": "method.center_cluster_weight",
  "method.mutual": "method.mutual_weight",
  "method.gen_stage": "method.generator_stage",
  "method.ia_weight": "method.identity_alignment.weight",
  "method.ia_margin": "method.identity_alignment.margin",
  "method.ma_weight": "method.modality_alignment.weight",
  "method.ma_rate": "method.modality_alignment.rate",
  "method.bridge": "method.modality_alignment.bridge",
  "method.split": "method.branch_stage",
  **{
    f"method.{name}": f"method.pedmix.{name}"
    for name in ("strategy", "region", "cam_warmup", "ratio", "probability", "bands")
  },
}
# Options whose other values did not help; docs/results.md has the measurements.
REMOVED = (
  *("ia_normalize", "ia_anchor", "ia_feature", "metric_modalities", "auxiliary_statistics"),
  *("ma_feature", "ma_metric", "ma_prototype"),
  *("fusion", "mss_feature", "mft_feature", "mft_target", "metric_feature", "align", "overlap"),
  *("specific_scale", "identity_weight", "shared_weight", "specific_weight"),
  *("mss_margin", "mss_specific_weight", "mss_decoupling_weight"),
)


def explain(key: str) -> str:
  """Returns what became of a key of an earlier version; '' for other keys.

  Args:
    key: Flat key, such as 'data.split'.
  """
  if key in MOVED:
    return f"it is now config.{MOVED[key]}"
  section, _, name = key.rpartition(".")
  if section == "method" and name in REMOVED:
    return "it was removed and always has its default value now (docs/results.md); leave it out"
  return ""
