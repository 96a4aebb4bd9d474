"""Odd values for config keys, drawn from a fixed seed: of the wrong type, size, sign or content."""

import math
import random

import numpy as np
from ml_collections import ConfigDict

NUMBERS = (0, -1, 1, 2, 3, 7, 255, 10**6, 2**31, 2**63, 10**30, -(10**30), 10**5000)
FLOATS = (0.0, -0.0, -0.5, 0.5, 1.5, 1e-30, 1e30, 1e300, math.nan, math.inf, -math.inf)
TEXTS = (
  *(
    "",
    " ",
    "a",
    "none",
    "None",
    "0",
    "1",
    "-1",
    "true",
    "nan",
    "inf",
    "1e999",
    "\x1b[31m",
    "a\nb",
  ),
  *(
    "\0",
    "{nope}",
    "{trial}",
    "{",
    "}",
    "{0}",
    "{trial.x}",
    "{trial!r}",
    "{trial:>9}",
    "/",
    "..",
    ".",
  ),
  *(
    "~nosuchuser/x",
    "../../x",
    "x" * 5000,
    "é",
    "\u202e",
    "\ud800",
    "٣ steps",
    "$x_1^2$",
    "%s",
    "*",
  ),
  *(
    "10 epochs",
    "-1 steps",
    "1e3 steps",
    "nan epochs",
    "1 fortnight",
    "9" * 400 + " steps",
    "steps",
  ),
  *("0.000001 epochs", "99999999999 steps", "5 steps 5", " 5  steps ", "10**3 steps", "0 steps"),
  *("flip()", "flip(probability=2)", "flip(probability='a')", "flip(probability=None)", "pad_crop"),
  *(
    "pad_crop(padding=-1)",
    "pad_crop(padding=1000000)",
    "pad_crop(padding=1.5)",
    "pad_crop(fill=256)",
  ),
  *(
    "pad_crop(padding=(1,2))",
    "pad_crop(**{'padding': 3})",
    "flip(key=1)",
    "flip(image=1)",
    "a.b()",
  ),
  *(
    "normalize(std=(0,0,0))",
    "normalize(mean=(1,2))",
    "normalize(mean=1)",
    "(" * 150,
    "-" * 900 + "1",
  ),
  *("random_erasing(area=(0.5,0.1))", "random_erasing(aspect=0)", "random_erasing(attempts=0)"),
  *(
    "random_erasing(value=1e999)",
    "random_erasing(probability=True)",
    "luma()",
    "normalize()",
    "f(x)",
  ),
  *(
    "agw",
    "mun.x",
    "base",
    "os.path",
    "..",
    "a..b",
    "vireid_jax.nosuch",
    "1a",
    "sgd",
    "adamw",
    "gem",
  ),
  *("float64", "float16", "auto", "device", "blocks", "pairs", "groups", "smoke", "quick", "train"),
  *(
    "after_neck",
    "triplet",
    "all/1-shot/random_choice/mAP",
    "mAP",
    "/",
    "hf://",
    "hf://a/b",
    "test",
  ),
)
TUPLES = (
  *((), [], (1,), (0, 0), (-1, -1), (1, 1), (10**9, 10**9), (48, 24), (24, 48, 3), (48.0, 24.0)),
  *(
    ("a", "a"),
    ("", ""),
    ("train", 1),
    (None,),
    (True, False),
    ((1, 2), 3),
    ([],),
    ({},),
    (math.nan,),
  ),
  *((0.1, 0.01), ("1 epoch", "2 epochs"), ("2 epochs", "1 epoch"), ("1 epoch", "5 steps"), (1, 1)),
  *(
    (3, 3),
    (2, 4),
    (0, 0, 0, 0),
    (1, 2, 3, 4),
    (-1, 0, 0, 0),
    (9, 9, 9, 9),
    ("flip()",),
    ("luma()",),
  ),
  *(tuple(range(2000)), ("after_neck", "before_neck"), ("all",), ("fog",), (6,), (1, 10), (0,)),
)


class Broken:
  """An object whose methods raise."""

  def __repr__(self):
    raise RuntimeError("no words")

  def __eq__(self, other):
    raise RuntimeError("not comparable")

  __hash__ = None


def nested(depth):
  """A list in a list in a list ..."""
  value = []
  for _ in range(depth):
    value = [value]
  return value


OTHERS = (
  *(Broken(), (Broken(),), {"a": Broken()}, nested(50), nested(10**5)),
  *(None, True, False, {}, {"a": 1}, {"a": {"b": {"c": 1}}}, {"backbone": 0.1}, {"backbone": -1}),
  *({1: 2}, {"lr": "x"}, set(), {1}, b"bytes", object(), len, int, 1j, range(3), Ellipsis),
  *(np.float32(0.5), np.int64(3), np.array([1, 2]), np.zeros(()), np.str_("gem"), np.float64(0.5)),
  *({"backbone": math.nan}, {"": 1.0}, {"a.b": 0.5}, [[1]], lambda: 0, float, ConfigDict({"x": 1})),
)
ALL = (*NUMBERS, *FLOATS, *TEXTS, *TUPLES, *OTHERS)


def draws(keys, *, seed, count):
  """Returns (key, value) pairs: every key at least once, values of every kind."""
  rng = random.Random(seed)
  keys = sorted(keys)
  wanted = (keys * (1 + count // len(keys)))[: max(count, len(keys))]
  return [(key, rng.choice(rng.choice((NUMBERS, FLOATS, TEXTS, TUPLES, OTHERS)))) for key in wanted]


def put(config, key, value):
  """Sets a flat key of a config to any value, whatever its type was."""
  *sections, last = key.split(".")
  for name in sections:
    config = config[name]
  with config.unlocked(), config.ignore_type():
    try:
      config[last] = value
    except Exception:  # what a ConfigDict does not take
      object.__getattribute__(config, "_fields")[last] = value
