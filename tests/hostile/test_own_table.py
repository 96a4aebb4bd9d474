"""images.csv: all that is wrong is told at once, in lines that a terminal can show."""

import owner_trees
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.data import layout, preparing

PEOPLE = [("ann", "train"), ("bob", "train"), ("eve", "val"), ("joe", "test"), ("kim", "test")]


@pytest.fixture
def root(tmp_path):
  return owner_trees.own(tmp_path, PEOPLE)


def lines(root):
  return (root / "images.csv").read_text(encoding="utf-8").splitlines()


def refused(root, text, encoding="utf-8"):
  (root / "images.csv").write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
  with pytest.raises(UserError) as error:
    layout.read("own", root)
  said = str(error.value)
  assert said.replace("\n", "").isprintable()
  assert len(said) < 3000
  return said


def test_six_planted_errors_are_told_at_once(root):
  rows = lines(root)
  rows[1] = rows[1].replace("visible/0", "visible/9")  # no such file
  rows[4] = rows[4].replace(",infrared,", ",infrarot,")
  rows[5] = rows[5].replace(",val", ",valid")
  rows[7] = rows[7].replace(",test", ",train")  # joe is in two splits
  rows[9] = rows[9].replace(",1,", ",,")
  rows += ["../x.png,zoe,1,visible,test"]
  said = refused(root, "\n".join(rows))
  assert "images.csv: 6 problems" in said
  for part in (
    "line 2: there is no file visible/9.png",
    "line 5: unknown modality 'infrarot'; did you mean 'infrared'?",
    "line 6: unknown split 'valid'; did you mean 'val'?",
    "line 9: identity 'joe' is in 'test' and in 'train'",
    "line 10: its camera is empty",
    "line 12: the path '../x.png' leaves the folder",
  ):
    assert f"\n  {part}" in said


def test_one_person_of_one_modality_is_told_with_the_others(root):
  rows = [row for row in lines(root) if not row.startswith("infrared/0")]
  rows[3] = rows[3].replace(",2,infrared", ",2,infra")
  said = refused(root, "\n".join(rows))
  assert "2 problems" in said
  assert "1 identities for training have only visible pictures: ann." in said


def test_more_than_twenty_problems_are_counted(root):
  rows = [*lines(root), *(f"no/{place}.png,zoe,1,visible,test" for place in range(30))]
  said = refused(root, "\n".join(rows))
  assert "30 problems" in said and said.count("there is no file no/") == 20
  assert said.endswith("\n  and 10 more")


@pytest.mark.parametrize(
  "path, said",
  [
    (".", "line 12: the path '.' leaves the folder or is empty"),
    ("./", "leaves the folder or is empty"),
    ("/etc/passwd", "leaves the folder or is empty"),
    ("a/../../b.png", "leaves the folder or is empty"),
    ("C:\\x.png", "leaves the folder or is empty"),
    ("visible", "line 12: visible is not a regular file"),
    ("x" * 5000, "letters)"),
    ("/".join("x" * 2500), "letters)"),
    ("visible/\x1b[2J.png", r"there is no file visible/\x1b[2J.png"),
    ("./visible//0.png", "line 12: visible/0.png is listed already (line 2)"),
    ("visible\\0.png", "line 12: visible/0.png is listed already (line 2)"),
  ],
)
def test_odd_paths_are_one_line(root, path, said):
  found = refused(root, "\n".join([*lines(root), f'"{path}",kim,1,visible,test']))
  assert said in found and "\n" not in found


@pytest.mark.parametrize("listed, there", [("X.PNG", "x.png"), ("Ren\u00e9.png", "Rene\u0301.png")])
def test_a_file_of_nearly_the_same_name_is_suggested(root, listed, there):
  owner_trees.picture(root / "visible" / there, 0)
  said = refused(root, "\n".join([*lines(root), f"visible/{listed},kim,1,visible,test"]))
  assert f"there is no file visible/{listed}; did you mean {there!a}" in said


@pytest.mark.parametrize(
  "row, said",
  [
    ("visible/0.png," + "7" * 5000 + ",1,visible,test", "its identity has 5000 letters"),
    ("visible/0.png,kim," + "7" * 5000 + ",visible,test", "its camera has 5000 letters"),
    (f'visible/0.png,"{"x" * 140_000}",1,visible,test', "field larger than field limit"),
    ('visible/0.png,"kim,1,visible,test', "is a quotation mark not closed"),
    ('visible/0.png,"ki"m,1,visible,test', "images.csv, line 12:"),
    ("visible/0.png,k\0im,1,visible,test", "line 12: it contains a NUL byte"),
    ("visible/0.png,kim,1,visible", "line 12: it has more or fewer values"),
    ("visible/0.png,kim,1,visible,test,", "line 12: it has more or fewer values"),
  ],
)
def test_odd_values_are_one_line(root, row, said):
  assert said in refused(root, "\n".join([*lines(root), row]))


@pytest.mark.parametrize(
  "header, said",
  [
    ("path,identity,identity,modality,split", "the column 'identity' 2 times"),
    ("path,identity,camera,modality,Split ,split", "the column 'split' 2 times"),
    ("path,identity,camera,modality,\x1b[2J", r"unknown column '\x1b[2j'"),
    ("", "has no column 'path'"),
    ("a" * 5000, "has no column 'path'"),
  ],
)
def test_odd_headers_are_one_line(root, header, said):
  assert said in refused(root, "\n".join([header, *lines(root)[1:]])) or not header


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1", "utf-32"])
def test_other_encodings_are_named(root, encoding):
  text = "\n".join(lines(root)).replace("ann", "änn")
  said = refused(root, text, encoding)
  assert "images.csv, line " in said
  assert "is not UTF-8" in said or "NUL byte" in said


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_marks_and_quoted_values_are_understood(root, end, mark):
  rows = lines(root)
  rows[1] = rows[1].replace('"ann"', '"ann, the ""first"""')
  rows[2] = rows[2].replace('"ann"', '"ann, the ""first"""')
  (root / "images.csv").write_bytes((mark + end.join(rows) + end * 3).encode())
  found = layout.read("own", root)
  assert found.metadata["identity_names"]["1"] == 'ann, the "first"'
  assert len(found.images) == 10


@pytest.mark.parametrize(
  "corrupt, said",
  [
    (("visible/0.png",), "1 identities for training have only infrared pictures: ann."),
    (("visible/3.png", "infrared/4.png"), "no identity for testing has been seen in both"),
  ],
)
def test_what_is_left_without_corrupt_pictures_is_checked_again(root, corrupt, said):
  for name in corrupt:
    (root / name).write_bytes(b"")
  with pytest.raises(UserError, match=f"without its corrupt images: {said}"):
    preparing.prepare("own", data_dir=root / "data", manual_dir=root, skip_corrupt=True)
  assert not (root / "data").exists()


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_one_file_is_not_two_people(root, link):
  getattr(root / "visible/copy.png", link)(root / "visible/0.png")
  said = refused(root, "\n".join([*lines(root), "visible/copy.png,kim,1,visible,test"]))
  assert "line 12: visible/copy.png is the same file as visible/0.png (line 2)" in said
  (root / "images.csv").write_text(
    "\n".join([*lines(root)[:-1], "visible/copy.png,ann,1,visible,train"])
  )
  assert len(layout.read("own", root).images) == 11


def test_pictures_in_no_folder_of_a_person_are_told(tmp_path):
  for modality in ("visible", "infrared"):
    for name in ("ann/1.png", "joe/1.png", "left.png", "ann/gate/deep/1.png"):
      owner_trees.picture(tmp_path / modality / name, 0)
  (warning,) = layout.read("own", tmp_path).warnings
  assert warning.startswith("4 files are not regular files or not in the folder of an identity")
  assert "infrared/ann/gate/deep/1.png, infrared/left.png" in warning
