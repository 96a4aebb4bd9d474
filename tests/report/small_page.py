"""A page of a constructed test set, whose right answers are known by hand."""

import io
import json
import types

import jax.numpy as jnp
import numpy as np
from PIL import Image

from vireid_jax.common.records import Records
from vireid_jax.data.prepared.source import ImageSet
from vireid_jax.evaluators import protocols
from vireid_jax.report import page
from vireid_jax.report.page import compose, network

# (identity, camera, modality, angle of the feature in degrees). Camera 3 stands in the same place
# as camera 2, whose images its queries never see.
IMAGES = [
  (1, 3, 1, 0),  # row 0, a query
  (1, 2, 0, 1),  # the closest of all, and left out for row 0
  (2, 1, 0, 5),
  (1, 1, 0, 10),
  (1, 4, 0, 40),
  (2, 4, 0, 60),
  (2, 6, 1, 58),  # row 6, a query; its list is 5, 4, 3, 2, 1
]
# By angle from the query: gallery rows in the order in which they must stand.
LISTS = {0: [2, 3, 4, 5], 6: [5, 4, 3, 2, 1]}


class Looking:
  """A method with all members by which one sees where it looks; its feature is a mean colour."""

  def embed(self, variables, images, modality):
    """[n, h, w, 3] to [n, 3]."""
    return self.forward_head(
      variables, self.forward_features(variables, images, modality), modality
    )

  def forward_features(self, variables, images, modality):
    """The image itself."""
    del variables, modality
    return images

  def forward_head(self, variables, forward_features, modality):
    """Its mean."""
    del variables, modality
    return forward_features.mean(axis=(1, 2))

  def attention(self, variables, images, modality):
    """The first channel, by a name that must be escaped."""
    del variables, modality
    return {"first <channel>": jnp.abs(images[..., 0])}


def records():
  """Returns what is known of the images."""
  identity, camera, modality, _ = zip(*IMAGES, strict=True)
  names = [f"cam{camera}/{row}.png" for row, (_, camera, _, _) in enumerate(IMAGES)]
  return Records(identity, camera, modality, names)


def embedded():
  """Returns the constructed network, images and features."""
  angles = np.deg2rad([angle for *_, angle in IMAGES])
  generator, known = np.random.default_rng(0), records()
  pictures = [_png(generator.integers(0, 255, (40, 20, 3), np.uint8)) for _ in IMAGES]
  protocol = protocols.create("sysu_mm01", modes=("all",), shots=(1,))
  trained = types.SimpleNamespace(
    step=7,
    variables={},
    image_size=(24, 12),
    resize="lanczos",
    operations={"visible": ("normalize()",), "infrared": ("normalize()",)},
  )
  features = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1).astype(np.float32)
  return network.Embedded(
    trained=trained,
    method=Looking(),
    dataset=types.SimpleNamespace(is_synthetic=True, metadata={}),
    images=ImageSet(known, pictures),
    features=features,
    normalize=True,
    comparisons=protocol.comparisons(known, {}),
    protocol=protocol,
  )


def write(folder, monkeypatch, *names):
  """Writes the page of one workdir per name, each of the constructed network."""
  for name in names:
    workdir = folder / name
    (workdir / "checkpoints").mkdir(parents=True)
    lines = [{"step": step, "loss": 9 - step, "loss/identity": 1.0, "ratio/intra": 0.5, "lr": 0.1}
             for step in (1, 2, 3)]  # fmt: skip
    (workdir / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 4, "lo')
  monkeypatch.setattr(compose.network, "embed", lambda run: embedded())
  return page.write([str(folder / name) for name in names], str(folder / "report.html"))


def _png(pixels):
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, "PNG")
  return buffer.getvalue()
