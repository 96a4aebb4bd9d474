"""Trains several variants of a config, each over several seeds."""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import queue
import re
import subprocess
import sys
from collections.abc import Sequence

from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.common import appended, cleanup, files, formats, interrupts, progress
from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.workdir_files import ABLATION_TABLE, LOG, seed_folder
from vireid_jax.config import checks
from vireid_jax.experiment import finished
from vireid_jax.report import ablation_table
from vireid_jax.runtime import workdir_lock

FULL = "full"
MOST_LETTERS = 200  # in a folder's name; file systems allow 255
TICK = 0.2  # seconds between checks for a signal
TAIL = 2000  # bytes of a log that have its last line
# Lines without words, and those of the compiler: its alarm about slow compilations, and its log.
FOREIGN = re.compile(r"[\W_]*$|\[Compiling |The operation took |\d{4}-\d\d-\d\d \d\d:|[IWEF]\d{4} ")


@dataclasses.dataclass(frozen=True)
class Row:
  """A row of the ablation: a variant of the config, with overrides.

  Attributes:
    text: The row as given on the command line.
    variant: Variant after the colon of --config; empty for the file itself.
    overrides: Overrides '--config.key=value', in order.
  """

  text: str
  variant: str
  overrides: tuple[str, ...]

  def of(self, config: str) -> str:
    """Returns 'FILE.py:VARIANT' of the row; variants of `config` come first."""
    if not self.variant:
      return config
    return f"{config}{',' if ':' in config else ':'}{self.variant}"

  @property
  def folder(self) -> str:
    """Name of the folder of the row's workdirs."""
    text = self.text.replace("--config.", "")
    name = re.sub(r"[^A-Za-z0-9.,=_-]+", "_", text).strip("_").lstrip(".")
    if name and len(name) <= MOST_LETTERS:
      return name
    return f"{name[:MOST_LETTERS]}_{hashlib.sha256(text.encode()).hexdigest()[:8]}".strip("_")


def parse_row(text: str) -> Row:
  """Reads 'VARIANT[,VARIANT] [--config.key=value ...]'.

  Raises:
    UserError: The row is empty, or something after the variant is not an override.
  """
  # A space inside a value, as in '9 epochs', does not separate overrides.
  words = re.split(r"\s+(?=--)", text.strip())
  variant, overrides = words[0], tuple(words[1:])
  bad = [word for word in overrides if not word.startswith("--config.") or "=" not in word]
  if not variant or variant.startswith("-") or bad:
    raise UserError(
      f"row {text!r}: expected VARIANT or {FULL!r}, then overrides such as --config.method.width=32"
    )
  return Row(text.strip(), "" if variant == FULL else variant, overrides)


def check_distinct(rows: list[Row]) -> None:
  """Raises UserError if two rows are the same run, or would share a workdir."""
  runs, folders = {}, {}
  for row in rows:
    run, folder = (row.variant, frozenset(row.overrides)), row.folder.casefold()
    if run in runs:
      raise UserError(f"rows {runs[run].text!r} and {row.text!r} are the same; leave one out")
    if folder in folders:
      raise UserError(
        f"rows {folders[folder].text!r} and {row.text!r} would share the folder {row.folder}; "
        "write one of them differently"
      )
    runs[run] = folders[folder] = row


def check(config: str, rows: list[Row], common: Sequence[str] = ()) -> None:
  """Raises UserError for an invalid row, before any row runs.

  Args:
    config: 'FILE.py' or 'FILE.py:VARIANT'.
    rows: Rows of the ablation.
    common: Overrides of all rows.
  """
  config_lib.load(config)
  check_distinct(rows)
  for row in rows:
    resolve(config, row, common)


def resolve(config: str, row: Row, common: Sequence[str] = ()) -> ConfigDict:
  """Returns the config of a row.

  Args:
    config: 'FILE.py' or 'FILE.py:VARIANT'.
    row: Row of the ablation.
    common: Overrides of all rows, applied before the row's.

  Raises:
    UserError: The file, variant or a key does not exist, or a value is not allowed; names the row.
  """
  try:
    found = config_lib.load(row.of(config), [*common, *row.overrides])
    checks.validate(found)
  except UserError as error:
    raise UserError(f"row {row.text!r}: {error}") from None
  return found


def run_all(
  config: str, rows: list[Row], seeds: list[int], workdir: pathlib.Path, *, jobs=1, common=()
) -> list[str]:
  """Trains all rows and seeds that are not finished.

  Args:
    config: 'FILE.py' or 'FILE.py:VARIANT'.
    rows: Rows of the ablation.
    seeds: Seeds of each row.
    workdir: Folder for ROW/seed_N.
    jobs: Number of concurrent runs.
    common: Overrides of all rows.

  Returns:
    A message for each failed run, with its log; empty if all succeeded.

  Raises:
    UserError: A row is invalid; nothing has run.
    interrupts.Stopped: A signal stopped the ablation; its runs have saved their state.
  """
  files.make_workdir(workdir)
  with workdir_lock.hold(workdir):  # two ablations would overwrite each other's logs
    return _run_all(config, rows, seeds, workdir, jobs, common)


def write_table(
  config: str,
  rows: list[Row],
  seeds: list[int],
  workdir: pathlib.Path,
  form: str = formats.MARKDOWN,
) -> str:
  """Writes the table of the rows' results to the workdir, as Markdown.

  Args:
    config: 'FILE.py' or 'FILE.py:VARIANT'.
    rows: Rows of the ablation.
    seeds: Seeds of each row.
    workdir: Folder with ROW/seed_N.
    form: Format of the returned text, one of `formats.PAPER_FORMATS`.

  Returns:
    The table.
  """
  reference = config_lib.to_dict(config_lib.load(config))
  given = {row.text: workdir / row.folder for row in rows}, seeds, reference
  table = ablation_table.render(*given)
  with files.user_errors_for_writes(workdir):
    files.write_text(workdir / ABLATION_TABLE, table)
  return table if form == formats.MARKDOWN else ablation_table.render(*given, form)


def _run_all(config, rows: list[Row], seeds, workdir, jobs: int, common) -> list[str]:
  configs = {row: config_lib.to_dict(resolve(config, row, common)) for row in rows}
  shares = queue.SimpleQueue()
  for cores in _share_cores(jobs):
    shares.put(cores)

  def work(row: Row, seed: int) -> str:
    cores = shares.get()
    try:
      if interrupts.requested():
        return ""
      wanted = configs[row] | {"seed": seed}
      return _run_unless_finished(config, row, seed, workdir, common, cores, wanted)
    finally:
      shares.put(cores)

  # A signal is forwarded to the runs (see `_spawn`), and then waits until they have saved.
  with interrupts.deferred(), concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    # Seed by seed, so that a table of all rows exists early, and machine drift affects rows
    # equally.
    waiting = [pool.submit(work, row, seed) for seed in seeds for row in rows]
    messages = [future.result() for future in progress.tracked(waiting, "runs")]
  return [message for message in messages if message]


def _run_unless_finished(config, row: Row, seed, workdir, common, cores: set[int], wanted) -> str:
  folder = workdir / row.folder / seed_folder(seed)
  if finished.is_finished(folder, wanted):
    return ""
  arguments = [f"--config={row.of(config)}", *common, *row.overrides, f"--config.seed={seed}"]
  folder.mkdir(parents=True, exist_ok=True)
  print(f"{printable(str(folder))} ...", flush=True)
  command = [sys.executable, "-m", "vireid_jax.main", *arguments, f"--workdir={folder}"]
  with appended.log(folder / LOG) as log:
    code = _spawn(command, cores, log)
  if code:
    if interrupts.requested():
      return ""
    return f"{folder} failed with exit code {code}; see {folder / LOG}"
  finished.mark(folder, wanted)
  return ""


def _spawn(command: list[str], cores: set[int], log: pathlib.Path) -> int:
  """Runs a command that ends in --workdir=..., shows the last line of its log, forwards a signal.

  Args:
    command: Command and arguments.
    cores: Cores that it may use; empty for all.
    log: File for its output.

  Returns:
    Its exit code.
  """
  name = "/".join(command[-1].split("/")[-2:])
  # In a separate process group: Ctrl-C reaches it through us, and the terminal does not kill it
  # twice.
  with log.open("w", encoding="utf-8") as file:
    process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, process_group=0)
  forwarded = False
  with cleanup.child(process), progress.show(name) as activity:
    if cores:
      # Early, before the runtime counts the cores and starts its threads.
      with contextlib.suppress(ProcessLookupError):
        os.sched_setaffinity(process.pid, cores)
    while True:
      if interrupts.requested() and not forwarded:
        process.terminate()
        forwarded = True
      with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(TICK)
      activity.what = f"{name}: {_last_line(log) or 'starting'}"


def _last_line(log: pathlib.Path) -> str:
  """Returns the last line that this package wrote to a log, without the seconds in it."""
  with log.open("rb") as file:
    file.seek(max(log.stat().st_size - TAIL, 0))
    lines = file.read().decode(errors="replace").splitlines()
  line = next((line.strip() for line in reversed(lines) if not FOREIGN.match(line)), "")
  return re.sub(r", [\d:]+ so far.*$", "", line)


def _share_cores(jobs: int) -> list[set[int]]:
  """Splits the cores among the jobs; returns empty sets for one job or if not supported."""
  if jobs == 1 or not hasattr(os, "sched_setaffinity"):
    return [set()] * jobs
  cores = sorted(os.sched_getaffinity(0))
  return [set(cores[job::jobs]) or {cores[job % len(cores)]} for job in range(jobs)]


def parse_seeds(text: str) -> list[int]:
  """Returns the numbers in --seeds without duplicates, in order."""
  if not re.fullmatch(r"\d+(,\d+)*", text):
    raise UserError(f"--seeds is {text!r}; expected numbers separated by commas, such as 0,1,2")
  return list(dict.fromkeys(int(seed) for seed in text.split(",")))
