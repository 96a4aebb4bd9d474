"""Synthetic pedestrians in two modalities, and data sets of them in the owners' layouts."""

from vireid_jax.data.synthetic.renderer import Rendered, render
from vireid_jax.data.synthetic.world import PRESETS, WORLDS, WorldSpec

__all__ = ["PRESETS", "WORLDS", "Rendered", "WorldSpec", "render"]
