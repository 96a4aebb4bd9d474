"""Names of the files and folders in the workdir of a run."""

CONFIG = "config.json"
METRICS = "metrics.jsonl"
MANIFEST = "manifest.json"
PARAMETERS = "parameters.tsv"  # every variable's shape
UNITS = "units.json"  # units of the files that cannot name them
EVALUATED = "evaluated.json"  # the last evaluation and its config
FINISHED = "finished.json"  # the config of a finished run of an ablation or of splits
LOCK = ".lock"  # present while a run trains

CHECKPOINTS = "checkpoints"
DIGESTS = "digests.json"  # in each checkpoint
BEST = "best"  # itself a workdir
EVALUATIONS = "eval"
TENSORBOARD = "tensorboard"
WANDB_ID = "wandb_id.txt"  # name of the run of Weights & Biases

REPORT = "report"  # cached results of a page
PAGE = "report.html"

# In the folder of an ablation and in those of its runs.
ABLATION_TABLE = "table.md"
LOG = "log.txt"


def seed_folder(seed: int) -> str:
  """Returns the name of a seed's workdir within the folder of its ablation row."""
  return f"seed_{seed}"
