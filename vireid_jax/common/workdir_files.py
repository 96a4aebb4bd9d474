"""Names of the files and folders in the workdir of a run."""

CONFIG = "config.json"
METRICS = "metrics.jsonl"
MANIFEST = "manifest.json"
PARAMETERS = "parameters.tsv"  # every variable's shape
EVALUATED = "evaluated.json"  # the last evaluation, and under which config
FINISHED = "finished.json"  # the config of a run of several that has ended
LOCK = ".lock"  # while a run trains

CHECKPOINTS = "checkpoints"
DIGESTS = "digests.json"  # in each checkpoint
BEST = "best"  # a workdir of its own
EVALUATIONS = "eval"
TENSORBOARD = "tensorboard"

REPORT = "report"  # what a page has computed
PAGE = "report.html"

# In the folder of an ablation, and of each of its runs.
ABLATION_TABLE = "table.md"
LOG = "log.txt"


def seed_folder(seed: int) -> str:
  """Returns the name of a seed's workdir in the folder of an ablation's row."""
  return f"seed_{seed}"
