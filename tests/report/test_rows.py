"""Rows of a report say whose they are, and damaged records are named instead of read."""

import json
import re

import command_lines
import markdown_tables
import pytest
import test_report
from test_report import plain, write

from vireid_jax import report
from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.results import SAME_GALLERY
from vireid_jax.evaluators.verification import FALSE_ACCEPT_RATES
from vireid_jax.report import naming, records


def leading(text):
  """Returns the first two cells of each row of the Markdown tables, below their heads."""
  return [row[:2] for row in markdown_tables.cells(text) if row[0] != "run"]


def test_two_runs_of_one_method_are_told_apart(tmp_path):
  write(tmp_path / "low", plain(0.5), optim__lr=0.1)
  write(tmp_path / "high", plain(0.25), optim__lr=0.2)
  text = report.render([str(tmp_path / "low"), str(tmp_path / "high")])
  assert leading(text) == [
    ["low (optim.lr 0.1)", "agw, after_neck"],
    ["high (optim.lr 0.2)", "agw, after_neck"],
  ]
  latex = re.sub(" +", " ", text)
  assert r"low (optim.lr 0.1) & agw, after\_neck & 1 of 10 splits, 1 seed & 50.00" in latex


def test_a_seed_counts_where_a_row_has_one_alone(tmp_path):
  for folder, seed in (("a", 0), ("b", 1), ("c/x", 2), ("c/y", 3)):
    write(tmp_path / folder, plain(0.5), seed=seed)
  names = [name for name, _ in leading(report.render([str(tmp_path / name) for name in "abc"]))]
  assert names == ["a (seed 0)", "b (seed 1)", "c"]


def test_how_a_run_was_watched_is_no_difference(tmp_path):
  write(tmp_path / "a", plain(0.5), eval__every="5 steps", data__dir="here")
  write(tmp_path / "b", plain(0.5), eval__every="", data__dir="there")
  found = leading(report.render([str(tmp_path / "a"), str(tmp_path / "b")]))
  assert [name for name, _ in found] == ["a", "b"]


def test_few_of_many_differences_are_named(tmp_path):
  write(tmp_path / "a", plain(0.5))
  path = write(tmp_path / "b", plain(0.5))
  stored = json.loads(path.read_text())
  stored["trained"]["optim"] |= {f"option_{number}": number for number in range(7)}
  path.write_text(json.dumps(stored))
  found = naming.names({name: records.find(str(tmp_path / name)) for name in "ab"})
  named = ", ".join(f"optim.option_{number} {number}" for number in range(4))
  assert list(found.values())[1] == f"b ({named}, 3 more)"


@pytest.mark.parametrize("items, names", [
  (["runs/a"], ["a"]),
  (["runs/a/"], ["a"]),
  (["runs/a_*"], ["runs/a_*"]),
  (["runs/a", "runs/b/best"], ["a", "b/best"]),
  (["runs/a", "runs/a/best"], ["a", "best"]),
])  # fmt: skip
def test_names_are_the_shortest_that_tell_apart(items, names):
  assert list(naming.shortest(items).values()) == names


def test_names_end_neither_a_table_nor_a_terminal(tmp_path):
  write(tmp_path / "a|b\x1b[31m$x_1", plain(0.5))
  text = report.render([str(tmp_path / "a|b\x1b[31m$x_1")])
  assert "\x1b" not in text
  assert r"a\|b\\x1b[31m$x_1" in text  # Markdown
  assert r"a|b\textbackslash{}x1b[31m\$x\_1 & agw" in text  # LaTeX


def departing(path, *lines):
  stored = json.loads(path.read_text())
  path.write_text(json.dumps({**stored, "differs": list(lines)}))


def test_an_evaluation_under_other_conditions_is_a_row_of_its_own(tmp_path):
  write(tmp_path / "run", plain(0.5, 0.5))
  path = write(tmp_path / "run", plain(0.3, 0.4, 0.5), name=".0123abcd")
  departing(path, "eval.protocol.trials: 2 -> 3")
  path = write(tmp_path / "run", plain(0.1, 0.1), name=".mismatch.0123abcd")
  departing(path, "data.resize: lanczos -> bilinear")
  found = {cells[0]: cells[2] for cells in test_report.rows(report.render([str(tmp_path / "run")]))}
  assert found == {
    "method": "visible_to_infrared rank-1",
    "agw, after_neck": "50.00 ± 0.00",
    "agw, after_neck, protocol.trials 3": "40.00 ± 8.16",
    "agw, after_neck, data.resize bilinear": "10.00 ± 0.00",
  }


def test_two_records_with_other_numbers_are_never_merged(tmp_path):
  write(tmp_path / "run", plain(0.5))
  write(tmp_path / "run", plain(0.4), name=".89abcdef")
  found = [cells[:3] for cells in test_report.rows(report.render([str(tmp_path / "run")]))[1:]]
  assert [(label, rate) for label, _, rate in found] == [
    ("agw, after_neck", "50.00"),
    ("agw, after_neck [89abcdef]", "40.00"),
  ]


def test_trials_that_cannot_differ_have_no_deviation(tmp_path):
  path = write(tmp_path / "run", plain(0.5, 0.5))
  stored = json.loads(path.read_text())
  stored["results"]["visible_to_infrared"]["same_gallery"] = True
  path.write_text(json.dumps(stored))
  text = report.render([str(tmp_path / "run")])
  assert test_report.rows(text)[1][2] == "50.00" and "±" not in text
  assert f"percent; visible_to_infrared: {SAME_GALLERY}" in text
  assert f"% percent; visible_to_infrared: {SAME_GALLERY}" in text  # in the LaTeX


TORN = {
  "step_abc.json": b"{}",
  "step_.json": b"{}",
  "step_0000011.json": b"",
  "step_0000012.json": b"5",
  "step_0000013.json": b'{"dataset": "regdb", "par',
  "step_0000014.json": b"\xff\xfe{}",
  "step_0000015.json": b"null",
  "step_0000016.json": b"[" * 100_000,
  "step_0000017.json": b'{"results": 5}',
}


def test_damaged_records_are_passed_over_and_named(tmp_path):
  write(tmp_path / "run", plain(0.5), step=10)
  for name, content in TORN.items():
    (tmp_path / "run" / "eval" / name).write_bytes(content)
  (tmp_path / "run" / "eval" / "step_0000018.json").mkdir()
  text = report.render([str(tmp_path / "run")])
  assert test_report.rows(text)[1][2] == "50.00"
  for name in (*TORN, "step_0000018.json"):
    assert f"* {tmp_path / 'run' / 'eval' / name}" in text, name
  with pytest.raises(UserError, match=r"nothing was evaluated in .*step_0000012\.json is no"):
    report.render([str(tmp_path / "run")], step=12)


def damaged(stored):
  """Yields copies of a record in each of which one value is of another kind."""
  for key in stored:
    for value in (5, "x", None, [], {"a": 1}, [5], -1.5):
      yield {**stored, key: value}
  for key in stored["results"]["visible_to_infrared"]:
    for value in (5, "x", None, [5], {"a": 1}):
      changed = {**stored["results"]["visible_to_infrared"], key: value}
      yield {**stored, "results": {"visible_to_infrared": changed}}


def test_no_value_of_another_kind_ends_in_a_traceback(tmp_path):
  path = write(tmp_path / "run", plain(0.5))
  path = path.rename(path.with_name("step_0000010.json"))
  for changed in damaged(json.loads(path.read_text())):
    path.write_text(json.dumps(changed))
    try:
      assert markdown_tables.cells(report.render([str(tmp_path / "run")]))[0][0] == "run"
    except UserError as error:
      assert "nothing was evaluated" in str(error), changed


def test_an_item_without_records_is_named(tmp_path):
  write(tmp_path / "a", plain(0.5))
  (tmp_path / "b").mkdir()
  text = report.render([str(tmp_path / "a"), str(tmp_path / "b")])
  assert f"* {tmp_path / 'b'}: nothing was evaluated" in text


@pytest.mark.parametrize(
  "item", ["", " ", "a\0b", "~nobodyhere/x", "a**b", "x" * 5000, "[", "a[1-"]
)
def test_odd_items_are_one_error(item):
  with pytest.raises(UserError, match="--workdir"):
    report.render([item])


def test_a_folder_whose_name_is_a_glob_is_a_folder(tmp_path):
  write(tmp_path / "a[1]*", plain(0.5))
  write(tmp_path / "a1", plain(0.25))
  assert test_report.rows(report.render([str(tmp_path / "a[1]*")]))[1][2] == "50.00"
  assert test_report.rows(report.render([str(tmp_path / "a[1]")]))[1][2] == "25.00"


def verified(path):
  """Adds what `eval.verification` leaves to a record."""
  rates = {f"{rate:g}": {"tar": 0.5, "far": rate, "threshold": 0.25} for rate in FALSE_ACCEPT_RATES}
  spread = {side: {"mean": 1.0, "std": 0.5} for side in ("intra", "inter")}
  found = {"after_neck": {"visible-infrared": {"tar": rates, "distance": spread}}}
  path.write_text(json.dumps({**json.loads(path.read_text()), "verification": found}))


def test_thresholds_say_whose_they_are(tmp_path):
  for name in ("a/seed_0", "b/seed_0"):
    verified(write(tmp_path / name, plain(0.5)))
  verified(write(tmp_path / "b/seed_0", plain(0.5), name=".flip"))
  text = report.render([str(tmp_path / name) for name in "ab"])
  part = text[text.index("### Verification") :]
  names = [name for name, *_ in leading(part)]
  assert names[:3] == ["a/seed_0", "b/seed_0 flip", "b/seed_0"]


def test_a_report_takes_no_config(tmp_path):
  write(tmp_path / "run", plain(0.5))
  arguments = ("--mode=report", f"--workdir={tmp_path / 'run'}", "--config.eval.split=val")
  with command_lines.parsed(*arguments) as main, pytest.raises(UserError, match="reads no config"):
    main.main(["main"])
