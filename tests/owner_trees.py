"""Writes small trees in the owners' layouts, of random pixels."""

import pathlib

import numpy as np
import scipy.io
from PIL import Image

SYSU_IDENTITIES = {"train": (1, 5, 9), "val": (2,), "test": (3, 6)}
REGDB_IDENTITIES = (1, 2, 4, 7)
LLCM_TRAIN, LLCM_TEST = (1, 4), (3, 12)
IMAGES = 3  # per identity and camera


def picture(path: pathlib.Path, seed: int, **options) -> None:
  """Writes 24 x 12 random pixels; the suffix decides the format."""
  pixels = np.random.default_rng(seed).integers(0, 256, (24, 12, 3), np.uint8)
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(path, **options)


def _write(path: pathlib.Path, text: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text, encoding="utf-8")


def sysu(root: pathlib.Path, *, permutations: bool = True, synthetic: bool = True) -> pathlib.Path:
  """Camera 2 sees only odd identities; every other camera sees everyone."""
  cells = np.empty((6, 1), object)
  for camera in range(1, 7):
    cells[camera - 1, 0] = np.empty((9, 1), object)
    for identity in range(1, 10):
      seen = camera != 2 or identity % 2
      rng = np.random.default_rng(100 * camera + identity)
      rows = [rng.permutation(IMAGES) + 1 for _ in range(10)] if seen else np.zeros((10, 0))
      cells[camera - 1, 0][identity - 1, 0] = np.asarray(rows, np.uint8)
      if seen and any(identity in ids for ids in SYSU_IDENTITIES.values()):
        for number in range(1, IMAGES + 1):
          seed = 10_000 * camera + 10 * identity + number
          picture(root / f"cam{camera}/{identity:04d}/{number:04d}.jpg", seed)
  for split, identities in SYSU_IDENTITIES.items():
    _write(root / f"exp/{split}_id.txt", ",".join(map(str, identities)) + "\n")
  if permutations:
    scipy.io.savemat(root / "exp/rand_perm_cam.mat", {"rand_perm_cam": cells})
  return _marked(root, synthetic)


def regdb(root: pathlib.Path, *, synthetic: bool = True) -> pathlib.Path:
  """Split t tests the identities at positions t and t + 1 (cyclic) and trains on the others."""
  for folder in ("Visible", "Thermal"):
    for identity in REGDB_IDENTITIES:
      for number in range(IMAGES):
        seed = 10 * identity + number + 500 * (folder == "Thermal")
        picture(root / _regdb_name(folder, identity, number), seed)
  for trial in range(1, 11):
    test = {REGDB_IDENTITIES[(trial + i) % 4] for i in (0, 1)}
    for part, identities in (("train", set(REGDB_IDENTITIES) - test), ("test", test)):
      for folder in ("Visible", "Thermal"):
        lines = [
          f"{_regdb_name(folder, identity, number)} {label}"
          for label, identity in enumerate(sorted(identities))
          for number in range(IMAGES)
        ]
        _write(root / f"idx/{part}_{folder.lower()}_{trial}.txt", "\n".join(lines) + "\n")
  return _marked(root, synthetic)


def _regdb_name(folder: str, identity: int, number: int) -> str:
  return f"{folder}/{identity}/male_back_{folder[0].lower()}_{number:05d}_{identity}.bmp"


def llcm(root: pathlib.Path, *, synthetic: bool = True) -> pathlib.Path:
  """Training images of cameras 1 and 2; in the test set every camera sees everyone."""
  for word in ("vis", "nir"):
    lines = []
    for label, identity in enumerate(LLCM_TRAIN):
      for camera in (1, 2):
        name = f"{word}/{identity:04d}/{identity:04d}_c{camera:02d}_s1_f{camera}_{word}.jpg"
        picture(root / name, 10 * identity + camera)
        lines.append(f"{name} {label}")
    _write(root / f"idx/train_{word}.txt", "\n".join(lines))
    for camera in range(1, 10):
      for identity in LLCM_TEST if (word, camera) != ("nir", 3) else ():
        name = f"{identity:04d}_c{camera:02d}_s2_f1_{word}.jpg"
        picture(root / f"test_{word}/cam{camera}/{identity:04d}/{name}", 100 * identity + camera)
  _write(root / "idx/test_id.txt", ",".join(map(str, LLCM_TEST)))
  return _marked(root, synthetic)


def own(root: pathlib.Path, people, cameras=("1", "2")) -> pathlib.Path:
  """A table with one picture per person and modality; `people` are (identity, split)."""
  lines = ["path,identity,camera,modality,split"]
  for place, (identity, split) in enumerate(people):
    for camera, modality in zip(cameras, ("visible", "infrared"), strict=True):
      path = f"{modality}/{place}.png"
      picture(root / path, place)
      lines.append(f'{path},"{identity}",{camera},{modality},{split}')
  _write(root / "images.csv", "\n".join(lines))
  return root


def _marked(root: pathlib.Path, synthetic: bool) -> pathlib.Path:
  if synthetic:
    _write(root / "SYNTHETIC.txt", "not real\n")
  return root
