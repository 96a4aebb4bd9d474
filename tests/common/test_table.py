"""Tables: columns in line, numbers at the right, and names that cannot break out of their cells."""

from vireid_jax.common import table

HOSTILE = "a|b\\\x1b[31m\n\u202e"


def test_plain_columns_are_two_spaces_apart_and_numbers_end_at_the_right():
  text = table.plain(("", "images"), [("train", "1,234"), ("in all", "56")], "lr")
  assert text == "        images\ntrain    1,234\nin all      56"


def test_plain_needs_no_head_and_may_be_indented():
  assert table.plain((), [("a", "first"), ("bcd", "")], "ll", indent="  ") == "  a    first\n  bcd"
  assert table.plain((), [], "ll") == ""


def test_cells_that_look_like_numbers_stay_as_they_were_written():
  rows = [("1e5", "007", "1_000"), ("nan", "1.50", "0x10")]
  assert table.plain((), rows, "lll") == "1e5  007   1_000\nnan  1.50  0x10"


def test_wide_letters_take_two_columns():
  assert table.plain((), [("人物", "1"), ("abc", "2")], "lr") == "人物  1\nabc   2"


def test_markdown_is_padded_and_says_how_columns_are_aligned():
  assert table.markdown(
    ("run", "mAP"), [("low", "5.00"), ("higher", "10.00")], "lr"
  ).splitlines() == [
    "| run    |   mAP |",
    "|:-------|------:|",
    "| low    |  5.00 |",
    "| higher | 10.00 |",
  ]


def test_names_stay_in_their_cells():
  shown = "a|b\\\\x1b[31m\\n\\u202e"
  assert table.plain((), [(HOSTILE, "1")], "lr") == f"{shown}  1"
  (row,) = table.markdown((HOSTILE,), [], "l").splitlines()[:1]
  assert row.split(" ")[1] == "a\\|b\\\\\\\\x1b[31m\\\\n\\\\u202e"
  assert r"a|b\textbackslash{}\textbackslash{}x1b[31m" in table.latex((HOSTILE,), [], "l")


def test_latex_escapes_words_and_groups_columns():
  text = table.latex(
    ("run", "mAP", "mINP"), [("a_b & 5%", "1.00 ± 0.50", "2")], "lrr", groups=[("", 1), ("V_I", 2)]
  )
  assert text.splitlines()[:5] == [
    r"\begin{tabular}{lrr}",
    r"\toprule",
    r"  & \multicolumn{2}{c}{V\_I} \\",
    r" run      &         mAP &   mINP \\",
    r"\midrule",
  ]
  assert text.splitlines()[5].split(" & ")[0].strip() == r"a\_b \& 5\%"
  assert r"1.00 $\pm$ 0.50" in text and r"\bottomrule" in text
