"""A place in a bucket or on a server is refused in a line, and no local folder 'gs:' appears."""

import pathlib
import re

import pytest

import vireid_jax
from vireid_jax.cli import app
from vireid_jax.common import files, remote
from vireid_jax.common.errors import UserError
from vireid_jax.data import regular_files
from vireid_jax.data.prepared import location
from vireid_jax.report import page

PLACES = ("gs://bucket/run", "s3://bucket/run", "https://host/run", "GS://bucket", "gs:/bucket/run")
LOCAL = ("run", "./gs://bucket", "/data/gs://b", "C:/data", "a:b", "~/run", "")


@pytest.mark.parametrize("place", PLACES)
def test_places_elsewhere_are_refused(place):
  message = re.escape(f"--workdir={place} is a place of the kind {place.partition(':')[0]}://, ")
  with pytest.raises(UserError, match=message):
    files.folder_named(place, "--workdir")
  for path in (place, pathlib.Path(place)):
    with pytest.raises(UserError, match="only local folders are read and written; mount it"):
      regular_files.expanded(path)
  with pytest.raises(UserError, match="is a place of the kind"):
    vireid_jax.load(place)
  with pytest.raises(UserError, match="--html="):
    page._file(["run"], place)


@pytest.mark.parametrize("place", LOCAL)
def test_places_of_this_machine_are_not(place):
  remote.refuse(place, "")
  assert isinstance(regular_files.expanded(place), pathlib.Path)


@pytest.mark.parametrize("form", [["--out=gs://b/x"], ["--out", "gs://b/x"], ["s3://b/picture"]])
def test_every_command_refuses_them_before_anything_else(form):
  parser = app.Parser(prog="python -m vireid_jax.embed")
  parser.add_argument("--out")
  parser.add_argument("pictures", nargs="*")
  with pytest.raises(UserError, match=r"is a place of the kind (gs|s3)://"):
    parser.parse_args(form)


def test_weights_of_the_hub_are_allowed():
  parser = app.Parser(prog="python -m vireid_jax.import_weights")
  parser.add_argument("--weights")
  assert parser.parse_args(["--weights", "hf://timm/x"]).weights == "hf://timm/x"


def test_the_data_sets_variable_is_checked_too(monkeypatch):
  monkeypatch.setenv("TFDS_DATA_DIR", "gs://bucket/data")
  with pytest.raises(UserError, match="gs://bucket/data is a place of the kind gs://"):
    location.default_data_dir()
