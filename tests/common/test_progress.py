"""Lines that move at the bottom of a terminal, text above them, and plain lines elsewhere."""

import io
import threading

import pyte
import pytest

from vireid_jax.common import progress, progress_text, terminal


class Terminal(io.StringIO):
  """A terminal of given width, on which everything written is replayed."""

  encoding = "utf-8"

  def __init__(self, columns=60, rows=8):
    super().__init__()
    self.screen = pyte.HistoryScreen(columns, rows, history=1000)
    self._stream, self._columns, self._rows = pyte.Stream(self.screen), columns, rows

  def isatty(self):
    return True

  def write(self, text):
    self._stream.feed(text.replace("\n", "\r\n"))  # as a terminal's driver does
    return len(text)

  def shown(self):
    """Returns all lines, with those that were scrolled away, without empty ones at the end."""
    lines = [
      "".join(row[column].data for column in range(self._columns))
      for row in self.screen.history.top
    ]
    lines = [line.rstrip() for line in [*lines, *self.screen.display]]
    while lines and not lines[-1]:
      lines.pop()
    return lines


def begin(monkeypatch):
  """Returns a terminal that is standard output and standard error, and its lines.

  Not a fixture: pytest replaces the streams between a fixture and its test.
  """
  screen = Terminal()
  monkeypatch.setenv("TERM", "xterm")
  monkeypatch.setattr("sys.stdout", screen)
  monkeypatch.setattr("sys.stderr", screen)
  monkeypatch.setattr(terminal, "size", lambda stream: (screen._columns, screen._rows))
  moved = []
  lines = terminal.BottomLines(moved=lambda: bool(moved and moved.pop()))
  return screen, lines, moved


def test_printed_text_is_above_the_line(monkeypatch):
  screen, lines, _ = begin(monkeypatch)
  lines.draw(lambda columns: ["step 1"])
  print("first")
  print("second", end="")
  lines.draw(lambda columns: ["inside a line that is not complete"])
  assert screen.shown() == ["first", "second"]
  print(" and last")
  lines.draw(lambda columns: ["step 2"])
  assert screen.shown() == ["first", "second and last", "step 2"]
  lines.close()
  assert screen.shown() == ["first", "second and last"]
  print("after")
  lines.draw(lambda columns: ["never"])
  assert screen.shown()[-1] == "after"


def test_lines_are_cut_and_scroll(monkeypatch):
  screen, lines, _ = begin(monkeypatch)
  for count in range(12):
    print(f"text {count}")
    lines.draw(lambda columns, count=count: [f"{count} " + "x" * 80, "second line"])
  lines.close()
  assert screen.shown() == [f"text {count}" for count in range(12)]
  lines = terminal.BottomLines(moved=lambda: False)
  lines.draw(lambda columns: ["y" * 200] * 20)
  assert max(map(len, screen.shown())) == 59
  lines.close()
  assert screen.shown() == [f"text {count}" for count in range(12)]


def test_line_of_a_signal_stays(monkeypatch):
  screen, lines, moved = begin(monkeypatch)
  lines.draw(lambda columns: ["run a", "run b"])
  screen.write("\nSIGTERM: stopping\n")  # past Python's streams
  moved.append(True)
  lines.draw(lambda columns: ["run a, saving", "run b, saving"])
  lines.close()
  assert screen.shown() == ["run a", "run b", "SIGTERM: stopping"]


def test_text_of_a_library_replaces_a_short_line(monkeypatch):
  screen, lines, _ = begin(monkeypatch)
  lines.draw(lambda columns: ["compiling the step 2:00"])
  screen.write("E0101 00:00:00.000000 alarm.cc:73] slow\n")
  lines.draw(lambda columns: ["compiling the step 2:01"])
  assert screen.shown() == ["E0101 00:00:00.000000 alarm.cc:73] slow", "compiling the step 2:01"]


def stack(*activities):
  return list(activities)


@pytest.fixture
def clock(monkeypatch):
  """Returns a list whose only item is the time in seconds."""
  now = [0.0]
  monkeypatch.setattr(progress_text.time, "perf_counter", lambda: now[0])
  return now


def test_bar_has_rate_and_time_left_from_steps_alone(clock):
  steps = progress_text.Activity("train", 40, "img", scale=64)
  for done in range(1, 11):
    clock[0] += 2
    steps.reach(done)
  steps.pause()
  clock[0] += 1000  # an evaluation
  steps.go_on()
  steps.notes = ["loss 5.321", "loss/identity 4.000", "loss/triplet 1.321"]
  assert steps.rate == pytest.approx(0.5)
  clock[0] += 3
  text = progress_text.line(stack(steps), 79)
  assert text.startswith("train  25%|") and "| 10/40 [0:23<0:57, 32 img/s, loss 5.321" in text
  assert progress_text.plain(stack(steps)) == "train 10/40, 0:23 so far, 0:57 left"


@pytest.mark.parametrize("columns", (79, 99, 159))
def test_losses_never_squeeze_the_bar(clock, columns):
  steps = progress_text.Activity("train", 100_000, "img", scale=128)
  clock[0] += 4
  steps.reach(12_345)
  steps.notes = [f"loss/term{index} 5.432" for index in range(12)]
  text = progress_text.line(stack(progress_text.Activity("run"), steps), columns)
  bar = text[text.index("|") + 1 : text.rindex("|")]
  assert len(bar) >= progress_text.BAR and len(text) == columns
  assert "| 12345/100000 [0:04<0:28, 395,040 img/s" in text
  assert text.endswith("]") and text.count("loss/") == text.count(" 5.432") >= (columns > 90)


def test_narrow_terminals_get_no_bar():
  steps = progress_text.Activity("train", 100_000, "img")
  steps.reach(12_345)
  text = progress_text.line(stack(steps), 30)
  assert text == "train  12%|| 12345/100000 [0:00]"


def test_outer_names_give_way(clock):
  steps = progress_text.Activity("train", 350)
  steps.reach(100)
  evaluating = progress_text.Activity("evaluating")
  embedding = progress_text.Activity("embedding", 500, "img")
  embedding.reach(250)
  whole = stack(steps, evaluating, embedding)
  assert progress_text.line(whole, 99).startswith("train 100/350: embedding  50%|")
  assert progress_text.line(whole, 45).startswith("embedding  50%|")
  compiling = progress_text.Activity("compiling the step (about 31 s)")
  clock[0] += 3723
  text = "train 100/350: compiling the step (about 31 s) 1:02:03"
  assert progress_text.line(stack(steps, compiling), 99) == text
  assert progress_text.line(stack(steps, compiling), 45) == text.removeprefix("train 100/350: ")


class Log(io.StringIO):
  """A log file that says when a line was written."""

  def __init__(self):
    super().__init__()
    self.written = threading.Event()

  def write(self, text):
    count = super().write(text)
    self.written.set()
    return count


def test_a_log_file_gets_plain_lines_when_it_is_quiet(monkeypatch):
  log = Log()
  monkeypatch.setattr("sys.stderr", log)
  monkeypatch.setattr(progress, "TICK", 0.001)
  monkeypatch.setattr(progress, "QUIET", 0.0)
  with progress.show("train", 10) as steps:
    steps.reach(3)
    with progress.part("saving"):
      log.written.clear()
      assert log.written.wait(60)
      assert not progress.draws()
  lines = log.getvalue().splitlines()
  assert set(lines) <= {"train 3/10, 0:00 so far", "train 3/10: saving, 0:00 so far"}
  assert lines[-1] == "train 3/10: saving, 0:00 so far"
  assert "\r" not in log.getvalue() and "\x1b" not in log.getvalue()


def test_a_terminal_gets_a_line_that_is_erased(monkeypatch):
  screen = Terminal()
  drawn, write = threading.Event(), screen.write
  monkeypatch.setattr(screen, "write", lambda text: (write(text), drawn.set())[0])
  monkeypatch.setenv("TERM", "xterm")
  monkeypatch.setattr("sys.stderr", screen)
  monkeypatch.setattr(progress, "TICK", 0.001)
  with progress.show("reading data"):
    assert drawn.wait(60) and progress.draws()
    assert screen.shown()[0].startswith("reading data 0:0")
  assert screen.shown() == [] and not progress.draws()


def test_parts_are_shown_within_something_shown_only():
  with progress.part("ranking", 3) as ranking:
    ranking.advance()
    assert not progress._screen.stacks
  with progress.show("hidden", shown=False), progress.part("ranking"):
    assert not progress._screen.stacks
  with progress.show("evaluate"), progress.part("ranking"):
    (names,) = [[each.what for each in found] for found in progress._screen.stacks.values()]
    assert names == ["evaluate", "ranking"]
  assert not progress._screen.stacks
  assert list(progress.tracked([1, 2], "counting")) == [1, 2]


def test_an_error_ends_all_activities():
  with pytest.raises(ValueError), progress.show("train"), progress.part("saving"):
    raise ValueError
  assert not progress._screen.stacks
