"""Visible-infrared person re-identification in JAX/Flax."""

from vireid_jax.common.version import __version__

__all__ = ["__version__", "load", "train"]

# Imports are inside the functions to keep `import vireid_jax` fast: importing JAX takes a second.


def train(config, workdir):
  """Trains and evaluates a config: `vireid_jax.train("mun_synthetic:smoke", "runs/first")`.

  Training continues from the workdir's latest checkpoint.

  Args:
    config: Name or path, with variants after a colon, like --config; or a ConfigDict, such as
      `vireid_jax.config.load("mun_synthetic")` with changed values.
    workdir: Folder for checkpoints, metrics and results; created if missing.

  Returns:
    A `vireid_jax.experiment.outcome.Outcome` with `results` by setting and `test_images(modality)`;
    it prints as the table of the last step.

  Raises:
    UserError: Invalid input, before anything compiles, or a workdir of another config.
  """
  from vireid_jax.experiment import outcome

  return outcome.train(config, workdir)


def load(checkpoint, *, step=None, normalize=True, batch=64):
  """Loads a trained network: `model = vireid_jax.load("runs/mun")`.

  Args:
    checkpoint: A workdir, its `best` folder, the output of `import_weights`, or an export.
    step: Step of the checkpoint; the latest if None.
    normalize: L2-normalise features, as evaluations do by default.
    batch: Maximal number of images embedded at once.

  Returns:
    A `vireid_jax.retrieval.model.Model` with `embed`, `embed_folder` and `rank`.

  Raises:
    UserError: There is no such checkpoint, or the method's options have changed since.
  """
  from vireid_jax.retrieval import model

  return model.load(checkpoint, step=step, normalize=normalize, batch=batch)
