"""A service of buckets on this machine, for tests: an emulator of Google Cloud Storage, in memory.

The emulator ignores preconditions, on which the lock of a workdir depends. They are checked here;
it serves one request at a time, so nothing comes between the check and the write.
"""

import contextlib
import socket
import sys
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import unquote

BUCKET = "bucket"
HOSTS = ("STORAGE_EMULATOR_HOST", "TENSORSTORE_GCS_HTTP_URL")  # of gcsfs and of TensorStore


@contextlib.contextmanager
def serving(port: int = 0) -> Iterator[str]:
  """Serves an empty bucket `BUCKET` from a thread; yields the address."""
  from gcp_storage_emulator import server

  server.HANDLERS = tuple((route, _checked(methods)) for route, methods in server.HANDLERS)
  port = port or free_port()
  with server.create_server("localhost", port, in_memory=True, default_bucket=BUCKET):
    yield f"http://localhost:{port}"


def free_port() -> int:
  """Returns a port that nobody uses."""
  with socket.socket() as probe:
    probe.bind(("localhost", 0))
    return probe.getsockname()[1]


def environment(address: str) -> dict[str, str]:
  """Returns the environment variables that direct all clients to an address."""
  return dict.fromkeys(HOSTS, address)


def forget() -> None:
  """Forgets the file system of an earlier address."""
  from gcsfs import GCSFileSystem

  from vireid_jax.common import bucket_path

  bucket_path.filesystem.cache_clear()
  bucket_path._wrong_with.cache_clear()
  GCSFileSystem.clear_instance_cache()


def _checked(methods: dict) -> dict:
  return {method: _refusing(handler) for method, handler in methods.items()}


def _refusing(handler):
  def handle(request, response, storage):
    wanted = request.query.get("ifGenerationMatch")
    name = request.query.get("name", [request.params.get("object_id", "")])[0]
    if wanted and _generation(storage, request.params["bucket_name"], unquote(name)) != wanted[0]:
      response.status = HTTPStatus.PRECONDITION_FAILED
      return None
    return handler(request, response, storage)

  return handle


def _generation(storage, bucket: str, name: str) -> str:
  from gcp_storage_emulator.exceptions import NotFound

  try:
    return storage.get_file_obj(bucket, name)["generation"]
  except NotFound:
    return "0"


if __name__ == "__main__":
  with serving(int(sys.argv[1])):
    print("serving", flush=True)
    sys.stdin.read()  # until the test closes it
