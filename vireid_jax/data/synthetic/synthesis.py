"""Writes synthetic data sets in the layouts of the benchmarks, chosen by name."""

import argparse
import dataclasses

from vireid_jax.common import hints
from vireid_jax.common.errors import UserError, choose
from vireid_jax.data.synthetic.contact_sheet import write_contact_sheet
from vireid_jax.data.synthetic.world import PRESETS, WorldSpec
from vireid_jax.data.synthetic.writer import write_llcm, write_own, write_regdb, write_sysu_mm01

WRITERS = {
  "sysu_mm01": write_sysu_mm01,
  "regdb": write_regdb,
  "llcm": write_llcm,
  "own": write_own,
}
CONTACT_SHEET = "contact_sheet"
DEFAULT_PRESET = "smoke"
SHEET_ROWS = 8


def with_identities(spec: WorldSpec, identities: int) -> WorldSpec:
  """Returns the spec with another number of identities, split in the same proportions.

  Args:
    spec: The world.
    identities: Total number of identities, at least 3.

  Returns:
    A spec with at least one identity in each split.

  Raises:
    UserError: There are fewer than 3 identities.
  """
  if identities < 3:
    raise UserError(f"--identities must be at least 3 (train, val and test), got {identities}")
  total = spec.train_identities + spec.val_identities + spec.test_identities
  val = max(1, round(identities * spec.val_identities / total))
  test = max(1, min(round(identities * spec.test_identities / total), identities - val - 1))
  return dataclasses.replace(
    spec, train_identities=identities - test - val, val_identities=val, test_identities=test
  )


def spec_from(arguments: argparse.Namespace) -> WorldSpec:
  """Builds the world from the command line's flags.

  Raises:
    UserError: The preset is unknown, or a number is out of range.
  """
  spec = choose(arguments.preset, PRESETS, "preset")
  changes = {name: getattr(arguments, name) for name in ("images_per_camera", "seed")}
  spec = dataclasses.replace(spec, **{k: v for k, v in changes.items() if v is not None})
  if arguments.identities is None or arguments.what == CONTACT_SHEET:
    return spec
  return with_identities(spec, arguments.identities)


def run(arguments: argparse.Namespace) -> str:
  """Writes the data set or contact sheet that the flags ask for.

  Returns:
    A sentence that says what was written.

  Raises:
    UserError: A flag is wrong, or the files cannot be written.
  """
  choose(arguments.what, (*WRITERS, CONTACT_SHEET), said=f"cannot write {arguments.what!r}")
  spec = spec_from(arguments)
  if arguments.what == CONTACT_SHEET:
    rows = SHEET_ROWS if arguments.identities is None else arguments.identities
    if rows < 1:
      raise UserError(f"--identities must be at least 1, got {rows}")
    return f"wrote {write_contact_sheet(arguments.out, spec, identities=rows)}"
  options = {"masks": arguments.masks, "workers": arguments.workers}
  if arguments.what == "regdb" and arguments.images_per_camera is not None:
    options["images_per_camera"] = arguments.images_per_camera
  root = WRITERS[arguments.what](arguments.out, spec, **options)
  return f"wrote {root}; next: {hints.command('prepare', arguments.what, '--manual_dir', root)}"
