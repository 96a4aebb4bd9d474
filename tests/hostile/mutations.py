"""Seeded damage to valid files: each mutation is small, so that most of the file is still right."""

import random

TOKENS = (
  *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\x1b[31m", b'"', b"'", b"-1", b"0", b"1.5"),
  *(b"nan", b"99999999999999999999", b"9" * 5000, b"A" * 5000, b"..", b"/", b"\\", b":", b"."),
  *(b",", b";", b"\t", b"\n", b"\r", b"\r\n", b" ", b"[", b"]", b"{", b"}", b"null", b"true"),
  *("\u0661".encode(), "\u200b".encode(), "\u2028".encode(), b"\x0c", b"\x85", b"01", b"1-9"),
)


def mutated(data: bytes, seed: int) -> bytes:
  """Returns the file's bytes after one to three small changes that the seed decides."""
  generator = random.Random(seed)
  for _ in range(generator.randint(1, 3)):
    data = generator.choice(CHANGES)(data, generator)
  return data


def _flip(data: bytes, generator: random.Random) -> bytes:
  if not data:
    return data
  at = generator.randrange(len(data))
  return data[:at] + bytes([data[at] ^ (1 << generator.randrange(8))]) + data[at + 1 :]


def _cut(data: bytes, generator: random.Random) -> bytes:
  return data[: generator.randint(0, len(data))]


def _drop(data: bytes, generator: random.Random) -> bytes:
  start = generator.randint(0, len(data))
  return data[:start] + data[start + generator.randint(1, 40) :]


def _repeat(data: bytes, generator: random.Random) -> bytes:
  start = generator.randint(0, len(data))
  stop = start + generator.randint(1, 200)
  return data[:stop] + data[start:stop] + data[stop:]


def _insert(data: bytes, generator: random.Random) -> bytes:
  at = generator.randint(0, len(data))
  return data[:at] + generator.choice(TOKENS) + data[at:]


def _replace_word(data: bytes, generator: random.Random) -> bytes:
  """Puts a token in the place of a number or a name between separators."""
  start = generator.randint(0, len(data))
  stop = next((i for i in range(start, len(data)) if data[i : i + 1] in b" ,;\t\n\"'/:"), len(data))
  return data[:start] + generator.choice(TOKENS) + data[stop:]


def _shuffle_lines(data: bytes, generator: random.Random) -> bytes:
  lines = data.split(b"\n")
  generator.shuffle(lines)
  return b"\n".join(lines)


CHANGES = (_flip, _flip, _cut, _drop, _repeat, _insert, _insert, _replace_word, _shuffle_lines)
