"""Synthetic pedestrians in two modalities, and data sets in the layouts of the benchmarks."""

from vireid_jax.data.synthetic.permutations import gallery_permutation
from vireid_jax.data.synthetic.renderer import Rendered, render
from vireid_jax.data.synthetic.stream import encode, render_encoded
from vireid_jax.data.synthetic.tree import MARKER
from vireid_jax.data.synthetic.world import PRESETS, SPLITS, WORLDS, WorldSpec
from vireid_jax.data.synthetic.writer import write_llcm, write_own, write_regdb, write_sysu_mm01

__all__ = [
  "MARKER",
  "PRESETS",
  "SPLITS",
  "WORLDS",
  "Rendered",
  "WorldSpec",
  "encode",
  "gallery_permutation",
  "render",
  "render_encoded",
  "write_llcm",
  "write_own",
  "write_regdb",
  "write_sysu_mm01",
]
