"""Notices: once per run, also across restarts, and kept where the run is described."""

import pytest

from vireid_jax import manifest
from vireid_jax.notices import Notices


def test_a_notice_is_shown_and_kept_once(tmp_path, capsys):
  for text in ("first", "second"):
    notices = Notices(tmp_path)
    notices.step = 7
    notices("weights_left_over", text)
    notices("weights_left_over", text)
  Notices(tmp_path)("other", "third")
  assert capsys.readouterr().err == "notice: first\nnotice: third\n"
  assert manifest.read(tmp_path)["notices"] == [
    {"key": "weights_left_over", "step": 7, "text": "first"},
    {"key": "other", "step": 0, "text": "third"},
  ]


@pytest.mark.parametrize(
  "content", [b"", b"{", b"5", b"[]", b"\xff", b'{"starts": 3}', b'{"starts": [3]}', b"[" * 9999]
)
def test_a_damaged_manifest_is_named_and_replaced(content, tmp_path, capsys):
  path = tmp_path / manifest.FILE
  path.write_bytes(content)
  Notices(tmp_path)("key", "text")
  assert f"{path} is damaged" in capsys.readouterr().err
  assert [notice["key"] for notice in manifest.read(tmp_path)["notices"]] == ["key"]
