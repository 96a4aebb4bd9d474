"""A table of the counts that were prepared, compared with the published ones."""

import json
import pathlib

from vireid_jax.common import table
from vireid_jax.data.layout.common import Group, Layout
from vireid_jax.data.prepared.location import METADATA_FILE


def _with_published(number: int, published: int | None) -> str:
  return f"{number:,}" + (f" / {published:,}" if published is not None else "")


def groups_to_show(layout: Layout) -> tuple[Group, ...]:
  """Returns the layout's groups, or one per split, modality and camera if it has none."""
  if layout.groups:
    return layout.groups
  keys = {(image.split, image.modality, image.camera) for image in layout.images}
  order = {split: i for i, split in enumerate(layout.splits)}
  return tuple(
    Group(f"{split}, camera {camera}", splits=(split,), modality=modality, cameras=(camera,))
    for split, modality, camera in sorted(keys, key=lambda key: (order[key[0]], key[2], key[1]))
  )


def rows(layout: Layout) -> list[tuple[str, str, str]]:
  """Returns (title, images, identities) per group and in total; numbers as `found / published`.

  A rendered tree is not compared with published numbers.
  """
  synthetic = layout.metadata["synthetic"]
  found = []
  for group in (*groups_to_show(layout), Group("total")):
    images, identities = group.count(layout.images)
    published = (None, None) if synthetic else (group.images, group.identities)
    found.append(
      (
        group.title,
        _with_published(images, published[0]),
        _with_published(identities, published[1]),
      )
    )
  return found


def show(name: str, layout: Layout, folder: pathlib.Path) -> None:
  """Prints the table of `rows`, the size of the data set, and the images skipped or turned."""
  synthetic = layout.metadata["synthetic"]
  suffix = "" if synthetic else ": found / published"
  title = f"{name}{' (synthetic)' if synthetic else ''}{suffix}"
  print(f"{title}\n{table.plain(('', 'images', 'identities'), rows(layout), 'lrr')}")
  size = sum(path.stat().st_size for path in folder.iterdir())
  skipped, turned = len(layout.metadata["skipped"]), len(_turned(folder))
  print(
    f"{size / 1e6:,.1f} MB"
    + f", {skipped} corrupt images left out" * bool(skipped)
    + f", {turned} picture{'s' * (turned > 1)} turned by EXIF orientation" * bool(turned)
  )


def _turned(folder: pathlib.Path) -> list[str]:
  metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
  return metadata.get("turned", [])
