"""Each message that docs/errors.md quotes is still made by the code; <NAME> stands for a value."""

import ast
import functools
import re

import guides
import pytest

PAGE = "errors.md"
MESSAGES = [text.strip() for language, text, _ in guides.blocks(PAGE) if language == "text"]
SHORTEST = 12  # letters of a part of a text that is taken for the code's own


@functools.cache
def texts():
  """Returns every text in the package, without the values between them."""
  found = set()
  for path in sorted((guides.ROOT / "vireid_jax").rglob("*.py")):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
      if isinstance(node, ast.Constant) and isinstance(node.value, str):
        found |= set(node.value.split("\n"))
  return found


@functools.cache
def everything():
  """Returns all texts as one; no message has a line break."""
  return "\n".join(sorted(texts()))


def is_made(piece):
  """Whether a piece of a message is made of at most three texts of the code."""
  return _is_made(piece, 3)


@functools.cache
def _is_made(piece, most):
  if not piece:
    return True
  if not most:
    return False
  ends = range(len(piece), 0, -1)
  return any(_is_text(piece[:end]) and _is_made(piece[end:], most - 1) for end in ends)


@functools.cache
def _is_text(piece):
  if len(piece) < SHORTEST:
    return piece in texts()
  return piece in everything()


def pieces(message):
  return re.split(r"<[^>]*>", message)


def test_the_page_has_many_messages():
  assert len(MESSAGES) == len(set(MESSAGES)) > 20


@pytest.mark.parametrize("message", MESSAGES, ids=lambda text: text[:50])
def test_the_code_still_makes_this_message(message):
  assert [piece for piece in pieces(message) if not is_made(piece)] == []


def test_another_wording_is_noticed():
  for message in MESSAGES:
    longest = max(pieces(message), key=len)
    assert not is_made(f"{longest[:12]}, honestly,{longest[12:]}")
