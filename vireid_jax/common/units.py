"""The units of the numbers in every file that the package writes for programs.

Rates are in [0, 1] in files; a person reads percent. A file names its units in one of three ways:

* JSON documents and the JSON inside .npz files have an entry `units`: {keys: unit};
* a name has the unit in it: the columns of CSV, and keys such as `peak_bytes`;
* files of a run that have no room for it are described in `units.json` beside them.

Keys are paths from the top of the document joined by '/', and '*' stands for anything.
"""

import fnmatch
import pathlib
from collections.abc import Mapping

from vireid_jax.common import files, workdir_files

ENTRY = "units"
# Explanation of each unit.
UNITS = {
  "rate": "rate in [0, 1]",
  "cosine": "cosine in [-1, 1]",
  "similarity": "cosine in [-1, 1], or minus the squared Euclidean distance without normalisation",
  "distance": "Euclidean distance",
  "seconds": "seconds",
  "time": "seconds since 1970-01-01 UTC",
  "date": "date and time, UTC, ISO 8601",
  "nanoseconds": "nanoseconds since 1970-01-01 UTC",
  "bytes": "bytes",
  "pixels": "pixels",
  "gray": "grey level, 0 to 255",
  "steps": "training steps",
  "epochs": "epochs",
  "flops": "floating-point operations",
  "flops_per_second": "floating-point operations per second",
  "images_per_second": "images per second",
  "times": "ratio of speeds",
  "count": "number of things",
  "number": "number that names something: a version, a seed, an identity, a camera, a row",
  "setting": "value of an option; docs/config.md has the units",
  "plain": "number without a unit",
}

# Units by key, the first pattern that fits.
METRICS = {
  "step": "steps",
  "time": "time",
  "epoch": "epochs",
  "eval/*": "rate",
  "accuracy*": "rate",
  "goodput": "rate",
  "seconds/*": "seconds",
  "images_per_second": "images_per_second",
  "distance/*": "distance",
  "lr": "plain",
  "grad_norm": "plain",
  "loss*": "plain",
  "*": "plain",  # of plug-in methods
}
PARAMETERS = {"column 2, the shape": "count"}
NOTE = {"step": "steps", "*": "setting"}
RECORD = {
  "results/*/conditions/*": "setting",
  "results/*/queries": "count",
  "results/*/valid_queries/*": "count",
  "results/*/gallery_sizes/*": "count",
  "results/*": "rate",
  "chance/*": "rate",
  "verification/*/genuine": "count",
  "verification/*/impostor": "count",
  "verification/*/distance/*": "distance",
  "verification/*/threshold": "similarity",
  "verification/*": "rate",
  "selection/step": "steps",
  "selection/value": "rate",
  "seconds": "seconds",
  "step": "steps",
  "format": "number",
  "seed": "number",
  "trial": "number",
  "devices": "count",
  "config/*": "setting",
  "trained/*": "setting",
}
MANIFEST = {
  "format": "number",
  "starts/*/time": "date",
  "starts/*/step": "steps",
  "starts/*/steps": "steps",
  "starts/*/steps_per_epoch": "steps",
  "starts/*/config/*": "setting",
  "starts/*": "count",
  "notices/*/step": "steps",
  "notices/*": "plain",
}
CARD = {
  "format": "number",
  "image_size/*": "pixels",
  "image": "gray",
  "feature_size": "count",
  "step": "steps",
  "calling_convention": "number",
}
FEATURES = {"features": "plain", "image_size/*": "pixels", "step": "steps"}
INDEX = {
  "features": "plain",
  "format": "number",
  "stamps/*/0": "bytes",
  "stamps/*/1": "nanoseconds",
}
PREPARED = {
  "world/image_height": "pixels",
  "world/image_width": "pixels",
  "world/*identities": "count",
  "world/images_per_camera": "count",
  "world/seed": "number",
  "world/*": "plain",
  "*": "number",
}
RUN = {
  workdir_files.METRICS: METRICS,
  workdir_files.TENSORBOARD: METRICS,
  workdir_files.PARAMETERS: PARAMETERS,
  workdir_files.CONFIG: {"*": "setting"},
  workdir_files.EVALUATED: NOTE,
  workdir_files.FINISHED: NOTE,
}


def entry(units: Mapping[str, str]) -> dict[str, dict[str, str]]:
  """Returns the entry of a JSON document that names its units.

  Args:
    units: Unit by keys, such as `RECORD`.
  """
  return {ENTRY: {keys: UNITS[unit] for keys, unit in units.items()}}


def find(units: Mapping[str, str], key: str) -> str | None:
  """Returns what the first fitting pattern of an entry gives for a key; None if none fits."""
  return next((unit for keys, unit in units.items() if fnmatch.fnmatchcase(key, keys)), None)


def write(workdir: pathlib.Path) -> None:
  """Writes `units.json`, which describes the files of a run that have no room for an entry."""
  described = {file: entry(units)[ENTRY] for file, units in RUN.items()}
  files.write_json(workdir / workdir_files.UNITS, described)
