"""Places elsewhere are refused in a line, and no local folder 'gs:' appears."""

import importlib.util
import pathlib
import re

import pytest

import vireid_jax
from vireid_jax import config, embed, export, list, prepare, search, synthesize
from vireid_jax.cli import app
from vireid_jax.common import files, paths
from vireid_jax.common.errors import UserError
from vireid_jax.data import regular_files
from vireid_jax.data.prepared import location
from vireid_jax.models import convert
from vireid_jax.report import page, records

PLACES = ("s3://bucket/run", "https://host/run", "az://bucket/run", "S3://bucket", "s3:/bucket/run")
NO_BUCKET = ("gs://", "gs:/bucket/run", "GS://bucket/run", "gs:///run", "gs://-/run")
LOCAL = ("run", "./gs://bucket", "/data/gs://b", "C:/data", "a:b", "~/run", "")
BUCKET = "gs://bucket/run"


@pytest.fixture
def without_gcsfs(monkeypatch):
  find = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util, "find_spec", lambda name: None if name == "gcsfs" else find(name)
  )


@pytest.mark.parametrize("place", PLACES)
def test_places_elsewhere_are_refused(place):
  message = re.escape(f"--workdir={place} is a place of the kind {place.partition(':')[0]}://, ")
  with pytest.raises(UserError, match=message):
    files.folder_named(place, "--workdir")
  for path in (place, pathlib.Path(place)):
    with pytest.raises(UserError, match="only local folders and buckets of the kind gs://"):
      regular_files.expanded(path)
  with pytest.raises(UserError, match="is a place of the kind"):
    vireid_jax.load(place)
  with pytest.raises(UserError, match="--html="):
    page._file(["run"], place)


@pytest.mark.parametrize("place", NO_BUCKET)
def test_a_place_without_a_bucket_is_refused(place):
  with pytest.raises(UserError, match=r"^--workdir=.* names no bucket; write gs://BUCKET/FOLDER$"):
    files.folder_named(place, "--workdir")


@pytest.mark.parametrize("place", LOCAL)
def test_places_of_this_machine_are_not(place):
  paths.check_kind(place, "")
  assert isinstance(regular_files.expanded(place), pathlib.Path)
  assert isinstance(paths.path(place), pathlib.Path)


@pytest.mark.parametrize("form", [["--out=s3://b/x"], ["--out", "s3://b/x"], ["ftp://b/picture"]])
def test_every_command_refuses_them_before_anything_else(form):
  parser = app.Parser(prog="python -m vireid_jax.embed")
  parser.add_argument("--out")
  parser.add_argument("pictures", nargs="*")
  with pytest.raises(UserError, match=r"is a place of the kind (s3|ftp)://"):
    parser.parse_args(form)


def test_weights_of_the_hub_are_allowed():
  parser = app.Parser(prog="python -m vireid_jax.import_weights")
  parser.add_argument("--weights")
  assert parser.parse_args(["--weights", "hf://timm/x"]).weights == "hf://timm/x"


def test_the_data_sets_variable_is_checked_too(monkeypatch):
  monkeypatch.setenv("TFDS_DATA_DIR", "s3://bucket/data")
  with pytest.raises(UserError, match="s3://bucket/data is a place of the kind s3://"):
    location.default_data_dir()


@pytest.mark.parametrize(
  "use",
  [
    lambda: files.folder_named(BUCKET, "--workdir"),
    lambda: vireid_jax.load(BUCKET),
    lambda: convert.load_weights(BUCKET),
    lambda: location.dataset_folder("regdb", BUCKET),
    lambda: page._file([BUCKET], ""),
    lambda: page._file(["run"], BUCKET),
    lambda: records.folders(BUCKET),
  ],
)
def test_a_bucket_without_gcsfs_is_an_error_with_the_next_step(without_gcsfs, use):
  with pytest.raises(
    UserError, match=r"^(.*=)?gs://bucket/run is in a bucket, .*vireid_jax\[gcs\]"
  ):
    use()


COMMANDS = {
  "embed": (embed, ["--checkpoint", "run", "--images", BUCKET, "--modality", "visible", "--out=x"]),
  "embed_out": (
    embed,
    ["--checkpoint", "run", "--images", "x", "--modality", "visible", "--out", BUCKET],
  ),
  "export": (export, ["--checkpoint", BUCKET, "--out", "x"]),
  "export_out": (export, ["--checkpoint", "run", "--out", BUCKET]),
  "list": (list, ["--data_dir", BUCKET]),
  "prepare": (prepare, ["vireid_synthetic/smoke", "--data_dir", BUCKET]),
  "prepare_own": (prepare, ["own", "--manual_dir", BUCKET]),
  "search": (
    search,
    [
      "--checkpoint",
      BUCKET,
      "--gallery",
      "g",
      "--query",
      "q",
      "--gallery_modality=visible",
      "--query_modality=infrared",
    ],
  ),
  "synthesize": (synthesize, ["own", "--out", BUCKET]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_so_in_a_line(name, without_gcsfs, capsys, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  module, arguments = COMMANDS[name]
  assert module.main(arguments) == app.EXIT_ERROR
  lines = capsys.readouterr().err.splitlines()
  assert [line.startswith("error: ") and "gs://bucket/run" in line for line in lines] == [True]
  assert not any(tmp_path.iterdir())


def test_what_is_read_here_only_says_so():
  said = (
    "--config=gs://bucket/c.py:smoke is in a bucket, and this is read and written on this machine"
  )
  with pytest.raises(UserError, match=re.escape(said)):
    config.load("gs://bucket/c.py:smoke")
  with pytest.raises(UserError, match="gs://bucket/run is in a bucket, and this is read"):
    regular_files.expanded(BUCKET)
