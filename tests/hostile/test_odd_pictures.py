"""Files that are not the pictures that their names promise, and pictures that would be changed."""

import io
import os
import pathlib
import socket
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import owner_trees
import pytest
from PIL import Image

from vireid_jax import prepare
from vireid_jax.common.errors import UserError
from vireid_jax.data import layout, preparing, regular_files
from vireid_jax.data.prepared import picture
from vireid_jax.data.prepared.source import Dataset, decode
from vireid_jax.retrieval import export_reader, page, pictures

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
SIZE = (6, 4)


def encoded(image, kind="PNG", **options):
  buffer = io.BytesIO()
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def oriented(number, kind="PNG"):
  exif = Image.Exif()
  exif[picture.ORIENTATION] = number
  return encoded(Image.fromarray(PIXELS), kind, exif=exif)


def make(path, kind):
  """Makes what is no regular file; returns what must be kept open."""
  match kind:
    case "pipe":
      os.mkfifo(path)
    case "folder":
      path.mkdir()
    case "dangling":
      path.symlink_to("nowhere.jpg")
    case "loop":
      path.symlink_to(path.name)
    case "device":
      path.symlink_to("/dev/zero")
    case "socket":
      holder, here = socket.socket(socket.AF_UNIX), pathlib.Path.cwd()
      os.chdir(path.parent)  # the name of a socket has at most 108 letters
      holder.bind(path.name)
      os.chdir(here)
      return holder
  return None


ODD = ("pipe", "folder", "dangling", "loop", "device", "socket")


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_regular_file_is_passed_over(tmp_path, kind):
  held = make(tmp_path / "odd.jpg", kind)
  (tmp_path / "good.png").write_bytes(encoded(Image.fromarray(PIXELS)))
  names, refused = pictures.find(tmp_path)
  assert names == ["good.png"]
  assert refused == ({} if kind == "folder" else {"odd.jpg": "not a regular file"})
  with pytest.raises(UserError):
    pictures.read(tmp_path / "odd.jpg", SIZE, "lanczos")
  assert page.small_picture(tmp_path / "odd.jpg") == ""
  assert held is None or held.close() is None


@pytest.mark.parametrize("kind", ODD)
def test_the_owners_folders_may_hold_them(tmp_path, kind):
  tree = owner_trees.sysu(tmp_path / "s", permutations=False)
  held = make(tree / "cam1/0001/0009.jpg", kind)
  found = layout.read("sysu_mm01", tree)
  assert "not regular files, left out: 0001/0009.jpg" in found.warnings
  assert not any(image.file_name.endswith("0009.jpg") for image in found.images)
  assert held is None or held.close() is None


def test_lists_that_are_no_regular_files_are_refused(tmp_path):
  tree = owner_trees.sysu(tmp_path)
  (tree / "exp/train_id.txt").unlink()
  os.mkfifo(tree / "exp/train_id.txt")
  with pytest.raises(UserError, match=r"has no file exp/train_id\.txt"):
    layout.read("sysu_mm01", tree)
  with pytest.raises(UserError, match=r"train_id\.txt is not a regular file"):
    regular_files.read_text(tree / "exp/train_id.txt")


def test_a_pipe_never_blocks_a_command(tmp_path):
  """Each command ends by itself; a hang would end in the time limit."""
  tree = owner_trees.own(tmp_path / "tree", [("ann", "train"), ("joe", "test")])
  (tree / "visible/0.png").unlink()
  os.mkfifo(tree / "visible/0.png")
  command = [sys.executable, "-m", "vireid_jax.prepare", "own", "--manual_dir", str(tree)]
  done = subprocess.run(
    [*command, "--data_dir", str(tmp_path / "data")],
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert done.returncode == 1
  assert "line 2: visible/0.png is not a regular file" in done.stderr
  assert "Traceback" not in done.stderr


def deep(channels, suffix=".png"):
  pixels = np.random.default_rng(1).integers(0, 65536, (6, 4, channels), np.uint16)
  return cv2.imencode(suffix, pixels)[1].tobytes()


def deep_grey_and_alpha():
  def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

  header = chunk(b"IHDR", struct.pack(">2I5B", 4, 6, 16, 4, 0, 0, 0))
  rows = zlib.compress((b"\0" + bytes(16)) * 6)
  return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
  "data",
  [
    deep(1),
    deep(3),
    deep(4),
    deep_grey_and_alpha(),
    deep(1, ".tiff"),
    deep(3, ".tiff"),
    encoded(Image.fromarray(np.zeros(SIZE, np.float32)), "TIFF"),
    encoded(Image.fromarray(np.zeros(SIZE, np.int32)), "TIFF"),
  ],
)
def test_more_than_eight_bits_are_refused_by_what_is_encoded(data):
  with pytest.raises(picture.PictureError, match="its pixels have more than 8 bits"):
    picture.rgb(data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_eight_bits_and_less_stay_what_they_are(mode):
  shown = Image.fromarray(PIXELS).convert(mode)
  np.testing.assert_array_equal(
    np.asarray(picture.rgb(encoded(shown))), np.asarray(shown.convert("RGB"))
  )


def test_cmyk_and_the_first_frame_of_an_animation_are_read():
  cmyk = Image.fromarray(PIXELS).convert("CMYK")
  assert picture.rgb(encoded(cmyk, "JPEG")).size == (4, 6)
  frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
  for kind in ("PNG", "WEBP", "TIFF"):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(np.asarray(picture.rgb(data)), PIXELS)


@pytest.mark.parametrize("kind", ["EPS", "GIF", "PPM", "ICO", "PCX"])
def test_only_the_formats_that_are_listed_reach_a_decoder(kind):
  with pytest.raises(picture.PictureError, match=r"^not a picture$"):
    picture.rgb(encoded(Image.fromarray(PIXELS), kind))


def test_postscript_never_starts_a_program(tmp_path, monkeypatch):
  started = []
  monkeypatch.setattr(subprocess, "check_call", lambda command, **_: started.append(command))
  (tmp_path / "x.jpg").write_bytes(encoded(Image.fromarray(PIXELS), "EPS"))
  with pytest.raises(UserError, match="not a picture"):
    pictures.read(tmp_path / "x.jpg", SIZE, "lanczos")
  assert page.small_picture(tmp_path / "x.jpg") == ""
  assert started == []


def test_every_decoder_call_of_the_package_names_its_formats():
  root = pathlib.Path(prepare.__file__).parent
  files = [*root.rglob("*.py"), *(root.parent / "tfds_builders").rglob("*.py")]
  calls = [
    (path.name, line.strip())
    for path in files
    for line in path.read_text(encoding="utf-8").splitlines()
    if "Image.open(" in line
  ]
  assert {name for name, _ in calls} == {"picture.py", "export_reader.py"}
  assert all("formats=FORMATS" in line for _, line in calls)


def bomb(width, height):
  data = bytearray(encoded(Image.new("L", (8, 8))))
  data[16:24] = struct.pack(">2I", width, height)
  data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
  return bytes(data)


@pytest.mark.parametrize("width, height", [(10_000, 10_000), (100_000, 100_000), (2**31 - 1, 1)])
def test_a_small_file_of_many_pixels_is_refused_before_it_is_decoded(width, height):
  with pytest.raises(picture.PictureError, match="pixels"):
    picture.rgb(bomb(width, height))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"BM", b"\x89PNG\r\n\x1a\n", bomb(0, 5)])
def test_empty_and_cut_off_files_are_refused(data):
  with pytest.raises(picture.PictureError):
    picture.rgb(data)


def test_a_cut_off_picture_is_refused():
  data = encoded(Image.fromarray(PIXELS).resize((64, 64)), "JPEG")
  with pytest.raises(picture.PictureError, match=r"(?i)^damaged: [^:]*truncated"):
    picture.rgb(data[: len(data) // 2])


UPRIGHT = {
  1: PIXELS,
  2: PIXELS[:, ::-1],
  3: PIXELS[::-1, ::-1],
  4: PIXELS[::-1],
  5: PIXELS.transpose(1, 0, 2),
  6: np.rot90(PIXELS, -1),
  7: np.rot90(PIXELS, 2).transpose(1, 0, 2),
  8: np.rot90(PIXELS),
}


@pytest.mark.parametrize("number", UPRIGHT)
def test_a_persons_own_pictures_are_turned_and_the_benchmarks_are_not(tmp_path, number):
  data = oriented(number)
  np.testing.assert_array_equal(np.asarray(picture.rgb(data, turn=True)), UPRIGHT[number])
  np.testing.assert_array_equal(decode(data, SIZE, "lanczos"), PIXELS)
  (tmp_path / "x.png").write_bytes(data)
  size = UPRIGHT[number].shape[:2]
  found = pictures.read(tmp_path / "x.png", size, "lanczos")
  np.testing.assert_array_equal(found, UPRIGHT[number])


@pytest.mark.parametrize("number", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(number):
  np.testing.assert_array_equal(np.asarray(picture.rgb(oriented(number), turn=True)), PIXELS)


def test_a_damaged_exif_block_turns_nothing():
  data = encoded(Image.fromarray(PIXELS), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
  np.testing.assert_array_equal(np.asarray(picture.rgb(data, turn=True)), PIXELS)


def test_prepare_own_stores_turned_pictures_and_says_so(tmp_path, capsys):
  tree = owner_trees.own(tmp_path / "tree", [("ann", "train"), ("joe", "test")])
  (tree / "infrared/1.png").write_bytes(oriented(6))
  folder = preparing.prepare("own", data_dir=tmp_path / "data", manual_dir=tree)
  assert "1 picture turned by EXIF orientation" in capsys.readouterr().out
  dataset = Dataset("own", folder.parents[1])
  assert dataset.metadata["turned"] == ["infrared/1.png"]
  test = dataset.load("test")
  (row,) = [row for row, name in enumerate(test.records.name) if name == "infrared/1.png"]
  np.testing.assert_array_equal(np.asarray(picture.rgb(test.encoded[row])), UPRIGHT[6])
  assert picture.orientation(Image.open(io.BytesIO(test.encoded[row]))) == 1


def test_prepare_keeps_the_owners_pictures_as_they_are(tmp_path):
  tree = owner_trees.llcm(tmp_path / "tree")
  name = "test_vis/cam1/0003/0003_c01_s2_f1_vis.jpg"
  (tree / name).write_bytes(oriented(6, "JPEG"))
  preparing.prepare("llcm", data_dir=tmp_path / "data", manual_dir=tree)
  test = Dataset("llcm", tmp_path / "data").load("test")
  row = test.records.name.tolist().index(name)
  assert test.encoded[row] == (tree / name).read_bytes()


def test_what_systems_leave_in_folders_is_no_picture(tmp_path):
  for name in ("Thumbs.db", ".DS_Store", "._x.jpg", "desktop.ini", "__MACOSX/x.jpg", "x.jpg"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
  assert pictures.find(tmp_path) == (["x.jpg"], {})


@pytest.fixture
def reader():
  """The exported reader without its functions."""
  made = export_reader.Retrieval.__new__(export_reader.Retrieval)
  made.card = {"image_size": list(SIZE), "resize": "lanczos"}
  return made


@pytest.mark.parametrize("number", UPRIGHT)
@pytest.mark.parametrize("kind", picture.FORMATS)
def test_the_exported_reader_reads_as_the_package_does(tmp_path, reader, kind, number):
  path = tmp_path / "x"
  path.write_bytes(
    oriented(number, kind) if kind != "BMP" else encoded(Image.fromarray(PIXELS), kind)
  )
  np.testing.assert_array_equal(reader.read([path])[0], pictures.read(path, SIZE, "lanczos"))


def test_the_exported_reader_refuses_what_the_package_does(tmp_path, reader):
  for name, data in (
    ("deep.png", deep(3)),
    ("thermal.png", deep(1)),
    ("thermal.tif", deep(3, ".tiff")),
  ):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match="more than 8 bits per channel"):
      reader.read([tmp_path / name])
  os.mkfifo(tmp_path / "pipe.png")
  with pytest.raises(ValueError, match="is not a regular file"):
    reader.read([tmp_path / "pipe.png"])
