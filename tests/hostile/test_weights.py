"""Weights that are not what they seem: each ends in the right numbers or in one sentence."""

import io
import json
import os
import re
import struct
import time
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch_pickles as torch
from safetensors import numpy as safetensors

from vireid_jax.common.errors import UserError
from vireid_jax.config import checks
from vireid_jax.models import convert
from vireid_jax.models.weights import state_dict

NUMBERS = np.arange(6, dtype=np.float32)
TENSOR = torch.tensor("0", 6, (2, 3))
MOST_BYTES, MOST_SECONDS = 200e6, 20  # traced, on a busy machine; the bombs ask for far more


def write(folder, content, name="w.pth"):
  (folder / name).write_bytes(content)
  return folder / name


def refusal(path):
  """Returns the one message with which a file is refused, quickly and in little memory."""
  tracemalloc.start()
  started = time.process_time()
  try:
    with pytest.raises(UserError) as error:
      convert.load_weights(path)
    assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    assert time.process_time() - started < MOST_SECONDS
  finally:
    tracemalloc.stop()
  message = str(error.value)
  assert message.isprintable()
  return message


WRAPPERS = (*state_dict.WRAPPERS, "teacher", "my_network")


@pytest.mark.parametrize("form", torch.FORMATS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_state_dict_is_found_under_the_usual_names_and_any_other(tmp_path, form, wrapper):
  moments = torch.mapping({"exp_avg": torch.tensor("1", 6, (6,))})
  content = torch.mapping(
    {
      "epoch": torch.value(3),
      "scores": torch.value([0.5, "x"]),
      "optimizer": torch.mapping({"state": torch.mapping({"0": moments})}),
      wrapper: torch.mapping({"module.a.weight": TENSOR, "module.b": TENSOR}),
    }
  )
  file = torch.FORMATS[form](content, {"0": NUMBERS, "1": NUMBERS})
  weights = convert.load_weights(write(tmp_path, file))
  assert set(weights) == {"a.weight", "b"}
  for found in weights.values():
    np.testing.assert_array_equal(found, NUMBERS.reshape(2, 3), strict=True)


@pytest.mark.parametrize(
  "names, kept",
  [
    (("module.module.a", "module.module.b"), {"a", "b"}),
    (("_orig_mod.module.a",), {"a"}),
    (("model.a", "model.b"), {"a", "b"}),
    (("module.a", "b"), {"module.a", "b"}),
    (("backbone.a", "backbone.b"), {"backbone.a", "backbone.b"}),
  ],
)
def test_prefixes_that_all_names_share_are_taken_off(tmp_path, names, kept):
  np.savez(tmp_path / "w.npz", **{name: NUMBERS for name in names})
  assert set(convert.load_weights(tmp_path / "w.npz")) == kept


def test_of_several_networks_none_is_guessed(tmp_path):
  network = torch.mapping({"a": TENSOR})
  for first, second in (("student", "teacher"), ("encoder", "decoder")):
    content = torch.saved(torch.mapping({first: network, second: network}), {"0": NUMBERS})
    assert f"'{first}'" in (message := refusal(write(tmp_path, content)))
    assert f"'{second}'" in message


def test_file_without_tensors_says_what_it_has(tmp_path):
  content = torch.saved(torch.mapping({"epoch": torch.value(3), "args": torch.value([])}))
  assert "holds no tensors" in (message := refusal(write(tmp_path, content)))
  assert "it has 'epoch', 'args'" in message


def test_options_and_scores_beside_the_weights_do_no_harm(tmp_path):
  options = torch.name("argparse", "Namespace") + b")\x81" + torch.value({"lr": 0.1}) + b"b"
  versions = torch.mapping({"a": TENSOR}) + torch.value({"_metadata": {}}) + b"b"
  people = torch.name("builtins", "set") + torch.value(([1, 2],)) + b"R"
  content = torch.mapping({"args": options, "seen": people, "net": versions})
  weights = convert.load_weights(write(tmp_path, torch.saved(content, {"0": NUMBERS})))
  np.testing.assert_array_equal(weights["a"], NUMBERS.reshape(2, 3))


SAVERS = {
  "w.npz": lambda path, tensors: np.savez(path, **tensors),
  "w.safetensors": lambda path, tensors: safetensors.save_file(tensors, path),
}


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_that_are_not_finite_name_file_and_tensor(tmp_path, name, bad, dtype):
  SAVERS[name](tmp_path / name, {"good": NUMBERS, "layer.bad": np.array([1, bad], dtype)})
  assert f"{name}: layer.bad: not all numbers are finite" in refusal(tmp_path / name)


def test_numbers_that_are_not_finite_in_a_torch_file(tmp_path):
  numbers = NUMBERS.copy()
  numbers[5] = np.nan
  content = {letter: TENSOR for letter in "abcde"}
  message = refusal(write(tmp_path, torch.saved(torch.mapping(content), {"0": numbers})))
  assert "w.pth: a, b, c and 2 more tensors: not all numbers are finite" in message


def test_bfloat16_is_read_and_checked(tmp_path):
  tensor = np.array([1, 2.5], ml_dtypes.bfloat16)
  safetensors.save_file({"a": tensor}, tmp_path / "w.safetensors")
  found = convert.load_weights(tmp_path / "w.safetensors")["a"]
  assert found.dtype == ml_dtypes.bfloat16
  assert found.astype(np.float32).tolist() == [1, 2.5]
  tensor[0] = np.nan
  safetensors.save_file({"a": tensor}, tmp_path / "w.safetensors")
  assert "a: not all" in refusal(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
  "tensor, shown",
  [
    (np.array([1 + 2j]), "complex128"),
    (np.array(["text"]), "<U4"),
    (np.array([b"text"]), "|S4"),
    (np.array(["2020-01-01"], "datetime64[D]"), "datetime64"),
    (np.array([1, 2], ml_dtypes.bfloat16), "|V2"),
    (np.array([(1, 2.0)], "i4,f4"), "'<i4'"),
  ],
)
def test_what_no_network_computes_with_is_named(tmp_path, tensor, shown):
  np.savez(tmp_path / "w.npz", good=NUMBERS, odd=tensor)
  message = refusal(tmp_path / "w.npz")
  assert "tensor odd holds" in message
  assert shown in message


@pytest.mark.parametrize("dtype", ["F8_E4M3", "C64"])
def test_safetensors_of_other_types_are_named(tmp_path, dtype):
  size = {"F8_E4M3": 1, "C64": 8}[dtype]
  header = {"odd": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}
  assert f"tensor odd holds {dtype}" in refusal(safetensors_file(tmp_path, header, bytes(size)))


def test_torch_numbers_of_other_types_are_named(tmp_path):
  odd = torch.tensor("0", 6, (6,), dtype="ComplexFloatStorage")
  message = refusal(write(tmp_path, torch.saved(torch.mapping({"a": odd}))))
  assert "numbers of type ComplexFloat" in message


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.bool_])
def test_integers_count_batches_and_fill_no_weights(dtype):
  shape = (3, 2)
  table = convert.NameTable("toy", lambda path: path[-1], False, "unused", "a test")
  variables = {"params": {"w": np.zeros(shape[::-1], np.float32)}}
  weights = {"w": np.ones(shape, np.float32), "bn.num_batches_tracked": np.ones((), dtype)}
  filled, ignored = convert.import_weights(variables, weights, table)
  assert (filled["params"]["w"] == 1).all()
  assert ignored == ["bn.num_batches_tracked"]
  with pytest.raises(UserError, match=f"tensor w holds {np.dtype(dtype)} where .* needs floats"):
    convert.import_weights(variables, weights | {"w": np.ones(shape, dtype)}, table)


def test_float64_numbers_beyond_float32_are_refused():
  table = convert.NameTable("toy", lambda path: path[-1], False, "unused", "a test")
  variables = {"params": {"w": np.zeros(2, np.float32)}}
  filled, _ = convert.import_weights(variables, {"w": np.array([1e-300, 0.1])}, table)
  np.testing.assert_array_equal(filled["params"]["w"], np.float32([0, 0.1]), strict=True)
  with pytest.raises(UserError, match="tensor w holds numbers that are not finite as float32"):
    convert.import_weights(variables, {"w": np.array([1e300, 0.1])}, table)


def test_negative_variances_are_refused(tmp_path):
  np.savez(tmp_path / "w.npz", **{"bn.running_var": np.float32([1, -1])})
  assert "bn.running_var holds variances below zero" in refusal(tmp_path / "w.npz")


# What a pickle may ask for. Each begins a dict that would have held tensors.
ATTACKS = {
  "reduce": torch.name("os", "system") + torch.value(("true",)) + b"R",
  "instance": b"(" + torch.value("true") + b"ios\nsystem\n",
  "object": b"(" + torch.name("os", "system") + torch.value("true") + b"o",
  "stack global": b"\x8c\x02os\x8c\x06system\x93" + torch.value(("true",)) + b"R",
  "new object": torch.name("subprocess", "Popen") + torch.value(("true",)) + b"\x81",
  "getattr": torch.name("builtins", "getattr") + torch.value(("", "format")) + b"R",
  "a dotted name": b"\x8c\x0ctorch._utils\x8c\x0aos.systems\x93",
  "a name that paints the terminal": b"\x8c\x02os\x8c\x05\x1b[31m\x93",
}


@pytest.mark.parametrize("form", torch.FORMATS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_run_however_it_is_asked_for(tmp_path, form, attack):
  content = torch.FORMATS[form](torch.mapping({"a": ATTACKS[attack]}))
  assert "the file asks to run" in refusal(write(tmp_path, content))


REBUILD = torch.name("torch._utils", "_rebuild_tensor_v2")
STATE = torch.value({"__code__": 1, "read": 2, "f_globals": {}})
# Instructions that would reach into the reader, or that weights have no need of.
MISUSES = {
  "attributes of a function": REBUILD + STATE + b"b",
  "attributes of a class": torch.name("collections", "OrderedDict") + STATE + b"b",
  "attributes of a dtype": torch.name("torch", "FloatStorage") + STATE + b"b",
  "attributes of a tensor": TENSOR + torch.value((None, {"shape": (9,)})) + b"b",
  "slots of a tensor": TENSOR + torch.value({"storage": 1}) + b"b",
  "items of a function": REBUILD + torch.value("__name__") + torch.value(1) + b"s",
  "items of a tensor": TENSOR + torch.value("shape") + torch.value(1) + b"s",
  "appending to a dict": b"}" + torch.value(1) + b"a",
  "calling a tensor": TENSOR + b")R",
  "calling a dtype": torch.name("torch", "FloatStorage") + b")R",
  "a dict with arguments": torch.name("collections", "OrderedDict") + torch.value(([],)) + b"R",
  "extension": b"\x82\x01",
  "persistent text": b"Pstorage\n",
  "persistent list": torch.value(["storage"]) + b"Q",
  "persistent module": torch.value(("module", 1, 2, 3, 4)) + b"Q",
  "out-of-band buffer": b"\x97",
  "memo that is not there": b"j\xff\xff\xff\x7f",
  "mark that is not there": b"t",
  "taking from below a mark": b"(0000",
}


@pytest.mark.parametrize("form", torch.FORMATS)
@pytest.mark.parametrize("misuse", MISUSES)
def test_a_pickle_reaches_nothing_of_the_reader(tmp_path, form, misuse):
  rebuilt = torch.FORMATS[form](torch.mapping({"a": MISUSES[misuse] + TENSOR}), {"0": NUMBERS})
  assert "cannot be read" in refusal(write(tmp_path, rebuilt))
  good = torch.FORMATS[form](torch.mapping({"a": TENSOR}), {"0": NUMBERS})
  assert (convert.load_weights(write(tmp_path, good))["a"] == NUMBERS.reshape(2, 3)).all()


def shared_by(count):
  content = {f"t{index}": torch.tensor("0", 2**20, (2**20,)) for index in range(count)}
  return torch.mapping(content), {"0": np.zeros(2**20, np.float32)}


def laughs():
  """A dict of thirty levels, each of which holds the one below twice."""
  levels = b"}" + b"".join(
    b"q%c0}(" % level + torch.value("a") + b"h%c" % level + torch.value("b") + b"h%c" % level + b"u"
    for level in range(100, 130)
  )
  return levels


def within_itself():
  return b"}q\x64(" + b"".join(torch.value(name) + b"h\x64" for name in WRAPPERS) + b"u"


NESTED = b")" + b"\x85" * 200_000
BOMBS = {
  "stride 0": (torch.tensor("0", 6, (2**14, 2**14), (0, 0)), {"0": NUMBERS}),
  "overlapping rows": (torch.tensor("0", 6, (4, 3), (1, 1)), {"0": NUMBERS}),
  "storage that is not there": (torch.tensor("0", 2**40, (2**40,)), {"0": NUMBERS}),
  "size beyond 64 bits": (torch.tensor("0", 2**70, (2**70,)), {"0": NUMBERS}),
  "size of a hundred thousand digits": (torch.tensor("0", 1 << 400_000, (1,)), {"0": NUMBERS}),
  "offset beyond": (torch.tensor("0", 6, (1,), (1,), 6), {"0": NUMBERS}),
  "negative stride": (torch.tensor("0", 6, (2,), (-1,), 3), {"0": NUMBERS}),
  "text as shape": (torch.tensor("0", 6, ("a",), (1,)), {"0": NUMBERS}),
  "forty axes": (torch.tensor("0", 6, (1,) * 40, (1,) * 40), {"0": NUMBERS}),
  "many tensors of the same numbers": shared_by(2000),
  "two sizes of one storage": (TENSOR + torch.tensor("0", 5, (5,)), {"0": NUMBERS}),
  "memo far away": (b"Nr\xff\xff\xff\x7f0" + b"Nr\xff\xff\xff\xff0" + TENSOR[:-1], {"0": NUMBERS}),
  "bytes that are not there": (b"\x8e" + struct.pack("<Q", 2**62), {}),
  "text that is not there": (b"X" + struct.pack("<I", 2**31), {}),
  "a number that is not there": (b"\x8b" + struct.pack("<i", 2**31 - 1), {}),
  "tuples within tuples": (NESTED + torch.value("x") + b"2", {}),
  "tuples within tuples as a key": (b"}" + NESTED + b"Ns", {}),
  "a million instructions": (b"N0" * 500_001, {}),
  "a dict that doubles thirty times": (laughs(), {}),
  "a dict within itself": (within_itself(), {}),
}


@pytest.mark.parametrize("form", torch.FORMATS)
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_few_bytes_take_little_memory_and_time(tmp_path, form, bomb):
  instructions, arrays = BOMBS[bomb]
  content = torch.FORMATS[form](torch.mapping({"a": instructions}), arrays)
  refusal(write(tmp_path, content))


def test_zip_that_unpacks_to_far_more_is_refused(tmp_path):
  numbers = {"0": np.zeros(2**24, np.float32)}
  instructions = torch.mapping({"a": torch.tensor("0", 2**24, (2**24,))})
  content = torch.saved(instructions, numbers, compression=zipfile.ZIP_DEFLATED)
  assert len(content) < 1e5
  assert "would unpack to 67,1" in refusal(write(tmp_path, content))
  np.savez_compressed(tmp_path / "w.npz", a=numbers["0"])
  assert "would unpack to 67,1" in refusal(tmp_path / "w.npz")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_compressed_zip_in_proportion_is_read(tmp_path, compression):
  numbers = {"0": np.zeros(2**20, np.float32)}
  instructions = torch.mapping({"a": torch.tensor("0", 2**20, (2**20,))})
  path = write(tmp_path, torch.saved(instructions, numbers, compression=compression))
  assert convert.load_weights(path)["a"].shape == (2**20,)


@pytest.mark.parametrize("declared", [24, 2**30])
def test_zip_that_declares_another_size_than_it_has_is_refused(tmp_path, declared):
  numbers = {"0": np.zeros(2**22, np.float32)}
  instructions = torch.mapping({"a": TENSOR})
  content = torch.saved(instructions, numbers, compression=zipfile.ZIP_DEFLATED)
  true = struct.pack("<I", 2**24)
  assert content.count(true) == 2  # beside the entry and in the directory
  refusal(write(tmp_path, content.replace(true, struct.pack("<I", declared))))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_have_no_limit_are_not_unpacked(tmp_path, compression):
  content = torch.saved(torch.mapping({"a": TENSOR}), {"0": NUMBERS}, compression=compression)
  assert "compressed in a way" in refusal(write(tmp_path, content))


@pytest.mark.parametrize("entries", [("a.npy", "a.npy"), ("a.npy", "b.txt")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_npz_of_other_entries_is_refused(tmp_path, entries):
  with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
    for name in entries:
      archive.writestr(name, npy(NUMBERS) if name.endswith("npy") else b"text")
  refusal(tmp_path / "w.npz")


def npy(array, **header):
  file = io.BytesIO()
  np.lib.format.write_array(file, array)
  content = file.getvalue()
  for old, new in header.items():
    old, new = {"shape": "(6,)"}.get(old, old).encode(), new.encode()
    assert old in content
    # The padding behind the header gives way.
    content = content.replace(old, new, 1).replace(b" " * (len(new) - len(old)), b"", 1)
  return content


@pytest.mark.parametrize("shape", ["(7,)", "(5,)", "(-6,)", "(9999999999,)", "(0,)", "(6,-1,-1)"])
def test_npz_whose_header_tells_another_shape_is_refused(tmp_path, shape):
  with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
    archive.writestr("a.npy", npy(NUMBERS, shape=shape))
  assert "cannot be read" in refusal(tmp_path / "w.npz")


def test_npz_in_column_order_and_big_endian_gives_the_same_numbers(tmp_path):
  given = np.asfortranarray(NUMBERS.reshape(2, 3).astype(">f4"))
  np.savez(tmp_path / "w.npz", a=given, scalar=np.float64(3))
  weights = convert.load_weights(tmp_path / "w.npz")
  assert weights["a"].tolist() == given.tolist()
  assert weights["scalar"] == 3


def test_npz_of_pickled_objects_is_not_unpickled(tmp_path):
  class Attack:
    def __reduce__(self):
      return os.mkdir, (str(tmp_path / "ran"),)

  np.savez(tmp_path / "w.npz", a=np.array([Attack()], object))
  assert "pickled objects" in refusal(tmp_path / "w.npz")
  assert not (tmp_path / "ran").exists()


def safetensors_file(folder, header, content, length=None):
  header = json.dumps(header).encode()
  length = struct.pack("<Q", len(header) if length is None else length)
  return write(folder, length + header + content, "w.safetensors")


@pytest.mark.parametrize(
  "offsets",
  [((0, 8), (4, 12)), ((0, 8), (8, 99)), ((0, 8), (12, 20)), ((8, 0), (8, 16)), ((0, 8), (0, 8))],
)
def test_safetensors_offsets_that_overlap_or_leave_the_file_are_refused(tmp_path, offsets):
  header = {
    name: {"dtype": "F32", "shape": [2], "data_offsets": list(pair)}
    for name, pair in zip("ab", offsets, strict=True)
  }
  assert "cannot be read" in refusal(safetensors_file(tmp_path, header, bytes(16)))


@pytest.mark.parametrize("length", [0, 7, 2**40, 2**64 - 1])
def test_safetensors_header_of_another_length_is_refused(tmp_path, length):
  assert "cannot be read" in refusal(safetensors_file(tmp_path, {}, bytes(16), length))


def make_folder(path):
  path.mkdir()


PLACES = {
  "folder": (make_folder, "it is a folder"),
  "pipe": (os.mkfifo, "it is a pipe"),
  "link": (lambda path: path.symlink_to("/nowhere"), "a link to a file that is gone"),
  "link to itself": (lambda path: path.symlink_to(path), "symbolic link"),
  "nothing": (lambda path: None, "no such file"),
}


@pytest.mark.parametrize("suffix", [".pth", ".npz", ".safetensors"])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_is_not_opened(tmp_path, place, suffix):
  make, said = PLACES[place]
  make(tmp_path / f"w{suffix}")
  assert said in refusal(tmp_path / f"w{suffix}")
  with pytest.raises(UserError, match=f"config.pretrained = .*{said}"):
    checks.check_pretrained(str(tmp_path / f"w{suffix}"))


@pytest.mark.parametrize("name", ["w" * 5000, "nul\0byte", "~nobody_at_all/w.pth", "esc\x1b[31m"])
def test_names_that_no_file_has(name):
  assert len(refusal(name)) < 700


def test_empty_and_foreign_files_are_refused(tmp_path):
  for suffix in (".pth", ".npz", ".safetensors", ""):
    for content in (b"", b"<html>", b"version https://git-lfs.github.com/spec/v1\n", bytes(999)):
      assert "cannot be read" in refusal(write(tmp_path, content, f"w{suffix}"))


MISTAKEN = {
  b"": "it is empty). Fetch it again",
  b"<!DOCTYPE html><title>Log in</title>": "a web page; it may ask to log in or to confirm). Down",
  b"version https://git-lfs.github.com/spec/v1\n": "a Git LFS pointer, not the file itself). Run",
  bytes(999): "it begins with zeros, as an interrupted download may). Fetch",
  b"epoch,rank-1\n": "a text file). Download",
  b"\x1f\x8b\x08" + bytes(99): "compressed by gzip). Unpack",
  b"\x89PNG\r\n\x1a\n": "a PNG picture). Give",
  bytes(range(256)): "it does not begin as a file of torch.save). Fetch",
}


@pytest.mark.parametrize("content", MISTAKEN, ids=[words[:20] for words in MISTAKEN.values()])
def test_what_a_file_is_instead_is_said(tmp_path, content):
  assert MISTAKEN[content] in refusal(write(tmp_path, content))


def test_a_file_of_another_suffix_is_told_its_own(tmp_path):
  safetensors.save_file({"a": NUMBERS}, tmp_path / "w.pth")
  assert "Name it .safetensors" in refusal(tmp_path / "w.pth")
  np.savez(tmp_path / "w.npz", a=NUMBERS)
  (tmp_path / "w.npz").rename(tmp_path / "w.safetensors")
  assert "Name it .pth or .npz" in refusal(tmp_path / "w.safetensors")


@pytest.mark.parametrize("form", torch.FORMATS)
@pytest.mark.parametrize("misuse", MISUSES)
def test_no_name_of_an_exception_or_instruction_is_shown(tmp_path, form, misuse):
  content = torch.FORMATS[form](torch.mapping({"a": MISUSES[misuse] + TENSOR}), {"0": NUMBERS})
  message = refusal(write(tmp_path, content))
  assert not re.search(r"Error|Exception|stack|opcode|instruction|mark ", message), message


def test_capital_letters_in_a_suffix_are_the_same_format(tmp_path):
  np.savez(tmp_path / "w.npz", a=NUMBERS)
  (tmp_path / "w.npz").rename(tmp_path / "W.NPZ")
  assert set(convert.load_weights(tmp_path / "W.NPZ")) == {"a"}


def test_big_endian_legacy_file_is_refused(tmp_path):
  content = torch.saved_legacy(torch.mapping({"a": TENSOR}), {"0": NUMBERS})
  little, big = b"little_endianq\x02\x88", b"little_endianq\x02\x89"
  assert little in content
  assert "big-endian" in refusal(write(tmp_path, content.replace(little, big, 1)))
