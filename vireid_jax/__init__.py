"""Visible-infrared person re-identification in JAX/Flax."""

from vireid_jax.common.version import __version__

__all__ = ["__version__", "load"]


def load(checkpoint, *, step=None, normalize=True, batch=64):
  """Reads a checkpoint for use: `model = vireid_jax.load("runs/mun")`.

  Args:
    checkpoint: a workdir, its `best` folder, or what `import_weights` wrote.
    step: of the checkpoint; the latest when None.
    normalize: scale features to unit length, as evaluations do by default.
    batch: pictures embedded at once, at most.

  Returns:
    A `vireid_jax.retrieval.model.Model` with `embed`, `embed_folder` and `rank`.

  Raises:
    UserError: no checkpoint there, none of this step, or a method with other options now.
  """
  # Here, so that importing the package stays light: JAX alone takes a second.
  from vireid_jax.retrieval import model

  return model.load(checkpoint, step=step, normalize=normalize, batch=batch)
