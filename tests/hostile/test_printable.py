"""File names on a terminal: nothing in them moves the cursor, changes colours or hides."""

import pytest

from vireid_jax.common.errors import printable


@pytest.mark.parametrize(
  "name, shown",
  [
    ("photos/ann 1.jpg", "photos/ann 1.jpg"),
    ("größe 人物.png", "größe 人物.png"),
    ("red\x1b[31m.jpg", r"red\x1b[31m.jpg"),
    ("bell\a\ttab\nline\r.jpg", r"bell\x07\ttab\nline\r.jpg"),
    ("\x7f\x9b31m", r"\x7f\x9b31m"),
    (b"not \xff text.jpg".decode("utf-8", "surrogateescape"), r"not \xff text.jpg"),
    ("gpj.\u202efdp", r"gpj.\u202efdp"),
    ("zero\u200bwidth\ufeff\u2028", r"zero\u200bwidth\ufeff\u2028"),
    ("\ud800", r"\ud800"),
    ("\U000e0041", r"\U000e0041"),
  ],
)
def test_what_a_terminal_would_act_on_is_escaped(name, shown):
  assert printable(name) == shown
  assert printable(name).encode("utf-8").decode("utf-8").isprintable()


def test_a_message_may_keep_its_lines():
  assert printable("two\nlines\x1b", keep="\n") == "two\nlines\\x1b"
