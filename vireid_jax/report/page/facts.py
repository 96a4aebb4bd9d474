"""Facts about a run for the head of the page, from its manifest, config, records and metrics."""

import json
import shlex

from vireid_jax.common.errors import printable
from vireid_jax.common.workdir_files import MANIFEST, PARAMETERS
from vireid_jax.config import keys
from vireid_jax.data import rendered
from vireid_jax.report.page import curves
from vireid_jax.report.page.runs import PageRun
from vireid_jax.retrieval.trained import find_checkpoint
from vireid_jax.speed import count

NOT_RECORDED = "not recorded"
# Settings of storage and logging, which are not compared.
UNCOMPARED = ("checkpoint", "log", "data.dir")
ABSENT = "(absent)"


def of_run(run: PageRun) -> dict[str, str]:
  """Returns the facts by name; what is unknown is left out or said to be not recorded."""
  flat = keys.flatten(_config(run))
  start = _starts(run)[-1] if _starts(run) else {}
  has_trials = "{trial}" in str(flat.get("data.train_splits"))
  records = run.records
  facts = {
    "method": flat.get("method.name", ""),
    "data set": flat.get("data.name", ""),
    "images": " x ".join(map(str, flat.get("data.image_size", ()))),
    "training images": _images(start),
    "seed": str(flat.get("seed", "")),
    "trial": str(flat.get("data.trial", "")) if has_trials else "",
    "training": str(flat.get("train.duration", "")),
    "evaluated": ", ".join(f"step {step}" for step in sorted({r.stored["step"] for r in records})),
    "selection": _selection(records),
    "parameters": _parameters(run),
    "time": _time(run),
    "device": _device(start),
    "commit": _commit(start),
    "command": _command(start),
    "workdir": str(run.workdir),
  }
  return {name: printable(str(value)) for name, value in facts.items() if value}


def cost(run: PageRun) -> dict[str, str]:
  """Returns parameters and operations of a run's method, without running it.

  Raises:
    UserError: There is no checkpoint, or its method has other options now.
  """
  stored = find_checkpoint(run.workdir, step=run.step)
  numerics = {**stored.config["numerics"], "dtype": "float32", "conv_impl": "xla"}
  method = stored.create_method({**stored.config, "numerics": numerics})
  found = count.measure(method, tuple(stored.config["data"]["image_size"]))
  return {
    "parameters": f"{_millions(found.trained)} in training, {_millions(found.used)} at test time",
    "operations": f"{found.operations / 1e9:.3g} GFLOP per image at test time",
  }


def is_synthetic(run: PageRun) -> bool:
  """Returns whether a run's images are rendered, according to its records or config."""
  if any(record.stored["synthetic"] for record in run.records):
    return True
  flat = keys.flatten(run.config)
  name = str(flat.get("data.name", ""))
  return name.split("/")[0] == rendered.SYNTHETIC or bool(flat.get("data.render"))


def config_differences(runs: list[PageRun]) -> list[tuple[str, list[str]]]:
  """Compares the configs of several runs.

  Returns:
    (key, value of each run) for each key in which two of them differ, sorted by key.
  """
  flat = [keys.OPTIONAL | keys.flatten(config) if (config := run.config) else None for run in runs]
  known = [each for each in flat if each is not None]
  found = []
  for key in sorted(set().union(*known)):
    values = [str(each.get(key, ABSENT)) for each in known]
    if len(set(values)) > 1 and not _under(key, UNCOMPARED):
      found.append((key, [NOT_RECORDED if e is None else str(e.get(key, ABSENT)) for e in flat]))
  return found


def _under(key: str, sections: tuple[str, ...]) -> bool:
  return any(key == name or key.startswith(f"{name}.") for name in sections)


def _config(run: PageRun) -> dict:
  return run.config or (run.records[0].stored["trained"] if run.records else {})


def _starts(run: PageRun) -> list[dict]:
  """Returns the starts in a run's manifest; none if it is missing or damaged."""
  try:
    starts = json.loads((run.workdir / MANIFEST).read_text(encoding="utf-8"))["starts"]
    return [start for start in starts if isinstance(start, dict)]
  except (OSError, ValueError, KeyError, TypeError, RecursionError):
    return []


def _mapping(start: dict, name: str) -> dict:
  found = start.get(name)
  return found if isinstance(found, dict) else {}


def _images(start: dict) -> str:
  data = _mapping(start, "data")
  if not isinstance(data.get("images"), int):
    return NOT_RECORDED
  return f"{data['images']:,} of {data.get('identities', '?')} identities"


def _device(start: dict) -> str:
  found = _mapping(start, "devices")
  return f"{found.get('count', '?')} x {found['kind']}" if found.get("kind") else NOT_RECORDED


def _commit(start: dict) -> str:
  found = _mapping(start, "commit")
  changed = ", with uncommitted changes" if found.get("changed") else ""
  return f"{str(found['hash'])[:12]}{changed}" if found.get("hash") else NOT_RECORDED


def _command(start: dict) -> str:
  found = start.get("command")
  return shlex.join(map(str, found)) if isinstance(found, list) and found else NOT_RECORDED


def _selection(records: list) -> str:
  if not records:
    return ""
  found = records[0].stored["selection"]
  if not found:
    return "last step"
  return f"best {found['metric']}" if isinstance(found, dict) and "metric" in found else str(found)


def _parameters(run: PageRun) -> str:
  """Returns the number of parameters in training, from the run's list of variables."""
  try:
    lines = (run.workdir / PARAMETERS).read_text(encoding="utf-8").splitlines()
    shapes = [line.split("\t")[1] for line in lines if line.startswith("params/")]
    sizes = [_size(shape) for shape in shapes]
  except (OSError, ValueError, IndexError):
    return NOT_RECORDED
  return f"{_millions(sum(sizes))} in training" if sizes else NOT_RECORDED


def _size(shape: str) -> int:
  product = 1
  for length in shape.strip("()").split(","):
    product *= int(length) if length.strip() else 1
  return product


def _millions(number: int) -> str:
  return f"{number / 1e6:.2f} M"


def _time(run: PageRun) -> str:
  seconds = curves.seconds(run.workdir, len(_starts(run)))
  if seconds is None:
    return NOT_RECORDED
  minutes, rest = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  words = f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
  return f"{words} between the first and the last logged step"
