"""A bucket that is not there, lets nobody in or cannot be reached: a line with the next step."""

import contextlib
import http.server
import json
import re
import threading

import bucket_server
import pytest

import vireid_jax
from vireid_jax import embed, export, list, prepare, search
from vireid_jax.cli import app
from vireid_jax.common import bucket_path, files, paths
from vireid_jax.common.errors import UserError
from vireid_jax.data import rendered
from vireid_jax.data.prepared import location
from vireid_jax.models import convert
from vireid_jax.report import page, records

pytest.importorskip("gcsfs")

RUN = "gs://bucket/run"


@contextlib.contextmanager
def answering(status: int, reason: str):
  """Serves one answer to every request; yields the address."""

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      said = json.dumps({"error": {"code": status, "message": reason}}).encode()
      self.send_response(status)
      self.send_header("Content-Length", str(len(said)))
      self.end_headers()
      self.wfile.write(said)

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
      pass

  with http.server.ThreadingHTTPServer(("localhost", 0), Handler) as server:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(scope="module", params=["no_bucket", "no_credentials", "unreachable"])
def service(request):
  """Yields (address, text of the message)."""
  if request.param == "no_bucket":
    with answering(404, "The specified bucket does not exist.") as address:
      yield address, "there is no bucket bucket; .*gcloud storage buckets create gs://bucket"
  elif request.param == "no_credentials":
    said = "Anonymous caller does not have storage.objects.list access to the bucket."
    with answering(401, said) as address:
      yield address, "no credentials were found .*gcloud auth application-default login"
  else:
    address = f"http://localhost:{bucket_server.free_port()}"
    yield address, "its service cannot be reached .*Check the network"


@pytest.fixture
def message(service, monkeypatch, tmp_path):
  address, message = service
  for name, value in bucket_server.environment(address).items():
    monkeypatch.setenv(name, value)
  if "cannot be reached" in message:  # never is, so there is no need to wait
    monkeypatch.setattr(bucket_path, "REACHING", 0.3)
  monkeypatch.chdir(tmp_path)
  bucket_server.forget()
  yield message
  assert not any(tmp_path.iterdir())


USES = {
  "workdir": lambda: files.folder_named(RUN, "--workdir"),
  "load": lambda: vireid_jax.load(RUN),
  "weights": lambda: convert.load_weights("gs://bucket/resnet50.pth"),
  "data_dir": lambda: location.dataset_folder("regdb", RUN),
  "data.dir": lambda: rendered.data_dir({"dir": RUN}),
  "page": lambda: page._file(["run"], "gs://bucket/report.html"),
  "report": lambda: records.folders("gs://bucket/runs/*"),
}


@pytest.mark.parametrize("use", USES)
def test_every_use_says_why_in_a_line(use, message):
  with pytest.raises(UserError, match=rf"gs://bucket/\S+: .*{message}") as caught:
    USES[use]()
  assert "\n" not in str(caught.value)
  assert not re.search(r"\w(Error|Exception)\b", str(caught.value))  # words, no names of Python


COMMANDS = {
  "embed": (embed, ["--checkpoint", RUN, "--images", ".", "--modality=visible", "--out=x.npz"]),
  "export": (export, ["--checkpoint", "run", "--out", RUN]),
  "list": (list, ["--data_dir", RUN]),
  "prepare": (prepare, ["vireid_synthetic/smoke", "--data_dir", RUN]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_why_in_a_line(name, message, capsys):
  module, arguments = COMMANDS[name]
  assert module.main(arguments) == app.EXIT_ERROR
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ") and RUN in line


@pytest.mark.parametrize(
  ("status", "said", "wanted"),
  [
    (403, "denied", "no credentials were found"),
    (400, "User project is missing", "its service answers: User project is missing, 400"),
  ],
)
def test_other_refusals(status, said, wanted, monkeypatch):
  with answering(status, said) as address:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    bucket_server.forget()
    with pytest.raises(UserError, match=wanted):
      paths.path(RUN)


def test_a_folder_that_is_missing_in_a_bucket_is_named(monkeypatch):
  with bucket_server.serving() as address:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    bucket_server.forget()
    for use, wanted in {
      lambda: vireid_jax.load(RUN): "gs://bucket/run holds no checkpoints",
      lambda: records.folders(RUN): "no folder matches 'gs://bucket/run'",
      lambda: records.folders("gs://bucket/*/x"): "no folder matches",
      lambda: convert.load_weights(RUN): "no such file in the bucket",
      lambda: location.dataset_folder("regdb", RUN): "gs://bucket/run is not a folder, so it has no"
      " prepared data set 'regdb'",
    }.items():
      with pytest.raises(UserError, match=wanted):
        use()
    given = ["--checkpoint", RUN, "--query=q", "--gallery=."]
    given += ["--query_modality=visible", "--gallery_modality=infrared"]
    assert search.main(given) == app.EXIT_ERROR


def test_a_bucket_that_fails_later_is_a_line_too(monkeypatch):
  with bucket_server.serving() as address:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    bucket_server.forget()
    path = paths.path(RUN)
  with answering(401, "expired") as address:
    monkeypatch.setattr(type(bucket_path.filesystem()), "_location", address)
    with pytest.raises(Exception, match="expired") as caught:
      path.read_bytes()
  assert "no credentials were found (expired, 401)" in app.explain(caught.value)
  refused = pytest.raises(UserError, match="cannot write to gs://bucket/run: no credentials")
  with refused, files.user_errors_for_writes(path):
    raise caught.value
