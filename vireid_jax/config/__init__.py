"""Configs: defaults, files, variants, checks and comparisons."""

from vireid_jax.config.compare import (
  FREE_TO_CHANGE,
  differences,
  refuse_old,
  save,
  split_name,
  to_dict,
  to_text,
  with_tuples,
)
from vireid_jax.config.datasets import DATASETS, use_own
from vireid_jax.config.defaults import AUGMENTATIONS, default_config, evaluation_defaults
from vireid_jax.config.file import RUNS, load, on_dataset, workdir
from vireid_jax.config.overrides import override
from vireid_jax.config.variants import (
  apply_variants,
  hold_out_val,
  smoke,
)

__all__ = [
  "AUGMENTATIONS",
  "DATASETS",
  "FREE_TO_CHANGE",
  "RUNS",
  "apply_variants",
  "default_config",
  "differences",
  "evaluation_defaults",
  "hold_out_val",
  "load",
  "on_dataset",
  "override",
  "refuse_old",
  "save",
  "smoke",
  "split_name",
  "to_dict",
  "to_text",
  "use_own",
  "with_tuples",
  "workdir",
]
