"""Writes synthetic data sets in the layouts of SYSU-MM01, RegDB, LLCM and users' own pictures."""

import dataclasses
import os
import pathlib

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, MODALITIES, VISIBLE
from vireid_jax.data.synthetic.permutations import TRIALS, gallery_permutation
from vireid_jax.data.synthetic.tree import Job, new_tree, write_images, write_lines
from vireid_jax.data.synthetic.world import SPLITS, WorldSpec, random_stream

REGDB_IMAGES = 10  # per identity and modality
REGDB_TRIALS = 10
REGDB_STREAM, LLCM_STREAM = 100, 101


def write_sysu_mm01(out_dir: str | os.PathLike, spec: WorldSpec, **rendering) -> pathlib.Path:
  """Writes `cam1..6/{identity:04d}/{image:04d}.jpg` and `exp/` with the id lists and the draws.

  Args:
    out_dir: Output folder; must be empty, or hold an earlier synthetic data set.
    spec: The world; its camera setup is replaced by SYSU-MM01's.
    **rendering: `masks` and `workers` of `tree.write_images`.

  Returns:
    The folder.

  Raises:
    UserError: The folder holds something else, or the world has no validation identity.
  """
  spec = dataclasses.replace(spec, world="sysu_mm01")
  if not spec.val_identities:
    raise UserError("exp/val_id.txt needs at least one identity: val_identities must be at least 1")
  with new_tree(out_dir, spec) as root:
    jobs = [Job(f"cam{c}/{i:04d}/{n:04d}.jpg", (i, c, n)) for i, c, n in spec.images()]
    write_images(root, spec, jobs, **rendering)
    for camera in spec.mounts:
      (root / f"cam{camera}").mkdir(exist_ok=True)
    for split in SPLITS:
      write_lines(root / f"exp/{split}_id.txt", [_comma_list(spec.identities(split))])
    _write_permutations(root / "exp/rand_perm_cam.mat", spec)
  return pathlib.Path(out_dir).expanduser()


def _comma_list(numbers) -> str:
  return ",".join(str(number) for number in numbers)


def _write_permutations(path: pathlib.Path, spec: WorldSpec) -> None:
  """Writes a 6 x 1 cell of N x 1 cells of 10 x n matrices, N the highest identity number."""
  import scipy.io  # here, because it is slow to import

  known, highest = set(spec.identities()), max(spec.identities())
  kind = np.uint8 if spec.images_per_camera < 256 else np.uint16
  cameras = np.empty((len(spec.mounts), 1), object)
  for row, camera in enumerate(sorted(spec.mounts)):
    cell = np.empty((highest, 1), object)
    for identity in range(1, highest + 1):
      seen = identity in known
      draws = gallery_permutation(spec, identity, camera) if seen else np.zeros((TRIALS, 0))
      cell[identity - 1, 0] = draws.astype(kind)
    cameras[row, 0] = cell
  scipy.io.savemat(path, {"rand_perm_cam": cameras}, do_compression=True)


def write_regdb(
  out_dir: str | os.PathLike,
  spec: WorldSpec,
  *,
  images_per_camera: int = REGDB_IMAGES,
  **rendering,
) -> pathlib.Path:
  """Writes `Visible/`, `Thermal/` and `idx/` with ten random halves of the identities.

  Args:
    out_dir: Output folder; must be empty, or hold an earlier synthetic data set.
    spec: The world; its camera setup is replaced by RegDB's, and all its identities are used.
    images_per_camera: Images of each identity per modality, 10 in RegDB.
    **rendering: `masks` and `workers` of `tree.write_images`.

  Returns:
    The folder.

  Raises:
    UserError: The folder holds something else, or the number of identities is odd.
  """
  spec = dataclasses.replace(spec, world="regdb", images_per_camera=images_per_camera)
  identities = spec.identities()
  if len(identities) % 2:
    raise UserError(
      f"RegDB trains on one half of the identities and tests on the other; {len(identities)} "
      "cannot be halved, use one more or one less"
    )
  with new_tree(out_dir, spec) as root:
    jobs = [Job(_regdb_path(spec, *key), key) for key in spec.images()]
    write_images(root, spec, jobs, **rendering)
    for trial in range(1, REGDB_TRIALS + 1):
      shuffled = random_stream(spec.seed, REGDB_STREAM, trial).permutation(identities).tolist()
      middle = len(shuffled) // 2
      for half, members in (("train", shuffled[:middle]), ("test", shuffled[middle:])):
        _write_regdb_lists(root, trial, half, sorted(members), jobs)
  return pathlib.Path(out_dir).expanduser()


def _regdb_path(spec: WorldSpec, identity: int, camera: int, index: int) -> str:
  infrared = spec.modality(camera) == INFRARED
  generator = random_stream(spec.seed, REGDB_STREAM, 0, identity)
  sex, view = generator.choice(("female", "male")), generator.choice(("front", "back"))
  frame = 7 * index + int(generator.integers(1, 40))
  folder, letter = ("Thermal", "t") if infrared else ("Visible", "v")
  return f"{folder}/{identity}/{sex}_{view}_{letter}_{frame:05d}_{identity}.bmp"


def _write_regdb_lists(root, trial: int, half: str, members: list[int], jobs: list[Job]) -> None:
  labels = {identity: label for label, identity in enumerate(members)}
  for word, folder in (("visible", "Visible"), ("thermal", "Thermal")):
    chosen = [job for job in jobs if job.key[0] in labels and job.path.startswith(folder)]
    lines = [f"{job.path} {labels[job.key[0]]}" for job in chosen]
    write_lines(root / f"idx/{half}_{word}_{trial}.txt", lines)


def write_llcm(out_dir: str | os.PathLike, spec: WorldSpec, **rendering) -> pathlib.Path:
  """Writes `vis/`, `nir/` (train and val), `test_vis/cam*/`, `test_nir/cam*/` and `idx/`.

  Args:
    out_dir: Output folder; must be empty, or hold an earlier synthetic data set.
    spec: The world; its camera setup is replaced by LLCM's nine cameras.
    **rendering: `masks` and `workers` of `tree.write_images`.

  Returns:
    The folder. The camera of a training image is the `c01`..`c09` in its file name.

  Raises:
    UserError: The folder holds something else.
  """
  spec = dataclasses.replace(spec, world="llcm")
  with new_tree(out_dir, spec) as root:
    train = sorted([*spec.images("train"), *spec.images("val")])
    train_jobs = [Job(_llcm_path(spec, key, test=False), key) for key in train]
    test_jobs = [Job(_llcm_path(spec, key, test=True), key) for key in spec.images("test")]
    jobs = train_jobs + test_jobs
    write_images(root, spec, jobs, **rendering)
    labels = {identity: label for label, identity in enumerate(sorted({k[0] for k in train}))}
    for modality, word in ((VISIBLE, "vis"), (INFRARED, "nir")):
      chosen = [job for job in train_jobs if spec.modality(job.key[1]) == modality]
      lines = [f"{job.path} {labels[job.key[0]]}" for job in chosen]
      write_lines(root / f"idx/train_{word}.txt", lines)
      for camera in spec.cameras(modality):
        (root / f"test_{word}/cam{camera % 10}").mkdir(parents=True, exist_ok=True)
    write_lines(root / "idx/test_id.txt", [_comma_list(spec.identities("test"))])
  return pathlib.Path(out_dir).expanduser()


def _llcm_path(spec: WorldSpec, key: tuple[int, int, int], test: bool) -> str:
  identity, camera, index = key
  number = camera % 10  # the infrared cameras of this world are numbered from 11
  word = "nir" if spec.modality(camera) == INFRARED else "vis"
  clock = int(random_stream(spec.seed, LLCM_STREAM, identity, camera).integers(80000, 200000))
  folder = f"test_{word}/cam{number}" if test else word
  name = f"{identity:04d}_c{number:02d}_s{clock}_f{25 * index}_{word}.jpg"
  return f"{folder}/{identity:04d}/{name}"


def write_own(out_dir: str | os.PathLike, spec: WorldSpec, **rendering) -> pathlib.Path:
  """Writes `pictures/` and `images.csv`, the layout of docs/own_data.md.

  Args:
    out_dir: Output folder; must be empty, or hold an earlier synthetic data set.
    spec: The world; its camera setup is replaced by SYSU-MM01's.
    **rendering: `masks` and `workers` of `tree.write_images`.

  Returns:
    The folder.

  Raises:
    UserError: The folder holds something else.
  """
  spec = dataclasses.replace(spec, world="sysu_mm01")
  jobs, lines = [], ["path,identity,camera,modality,split"]
  for split in SPLITS:
    for identity, camera, index in spec.images(split):
      modality = MODALITIES[spec.modality(camera)]
      path = f"pictures/{modality}/{identity:04d}_c{camera}_{index:04d}.jpg"
      jobs.append(Job(path, (identity, camera, index)))
      lines.append(f"{path},{identity},{camera},{modality},{split}")
  with new_tree(out_dir, spec) as root:
    write_images(root, spec, jobs, **rendering)
    write_lines(root / "images.csv", lines)
  return pathlib.Path(out_dir).expanduser()
