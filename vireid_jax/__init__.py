"""Visible-infrared person re-identification in JAX/Flax."""

from vireid_jax.common.version import __version__

__all__ = ["__version__", "load", "train"]

# Imports are inside the functions, so that importing the package stays light: JAX alone takes a
# second.


def train(config, workdir):
  """Trains, or continues, and evaluates: `vireid_jax.train("mun_synthetic:smoke", "runs/first")`.

  Args:
    config: a name or path with variants behind a colon, as --config takes it; or a ConfigDict, such
      as `vireid_jax.config.load("mun_synthetic")` with values changed.
    workdir: receives checkpoints, metrics and results; made when absent.

  Returns:
    A `vireid_jax.experiment.outcome.Outcome`: `results` by setting, `test_images(modality)`, and
    the table of the last step when printed.

  Raises:
    UserError: for bad input, before anything compiles; or a workdir of another config.
  """
  from vireid_jax.experiment import outcome

  return outcome.train(config, workdir)


def load(checkpoint, *, step=None, normalize=True, batch=64):
  """Reads a trained network for use: `model = vireid_jax.load("runs/mun")`.

  Args:
    checkpoint: a workdir, its `best` folder, what `import_weights` wrote, or an export.
    step: of the checkpoint; the latest when None.
    normalize: scale features to unit length, as evaluations do by default.
    batch: pictures embedded at once, at most.

  Returns:
    A `vireid_jax.retrieval.model.Model` with `embed`, `embed_folder` and `rank`.

  Raises:
    UserError: no checkpoint there, none of this step, or a method with other options now.
  """
  from vireid_jax.retrieval import model

  return model.load(checkpoint, step=step, normalize=normalize, batch=batch)
