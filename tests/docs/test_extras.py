"""The extras that the guides and messages name exist, and each CUDA extra installs its CUDA."""

import ast
import re

import guides


def extras():
  """Returns the extras in setup.py with their packages, evaluated."""
  tree = ast.parse((guides.ROOT / "setup.py").read_text(encoding="utf-8"))
  names = {}
  for node in tree.body:
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
      names[node.targets[0].id] = ast.literal_eval(node.value)
  call = next(node.value for node in tree.body if isinstance(node, ast.Expr) and _is_call(node))
  given = next(word.value for word in call.keywords if word.arg == "extras_require")
  return eval(compile(ast.Expression(given), "setup.py", "eval"), {}, names)


def _is_call(node):
  return isinstance(node.value, ast.Call)


def test_every_extra_that_is_named_exists():
  pages = [guides.ROOT / "README.md", *sorted((guides.ROOT / "docs").rglob("*.md"))]
  pages += sorted((guides.ROOT / "vireid_jax").rglob("*.py"))
  found = {
    name.strip()
    for page in pages
    for names in re.findall(r"(?:vireid_jax|'?\.)\[([a-z0-9, ]+)\]'", page.read_text("utf-8"))
    for name in names.split(",")
  }
  assert {"wandb", "cuda12", "report", "hub"} <= found and found <= set(extras())


def test_cuda_extras_install_the_cuda_of_their_name():
  packages = extras()
  assert packages["cuda"] == packages["cuda13"]
  assert [text[:11] for text in packages["cuda13"]] == ["jax[cuda13]"]
  assert [text[:11] for text in packages["cuda12"]] == ["jax[cuda12]"]
  least = {
    text.partition("]")[2] for name in ("cuda12", "cuda13", "tpu") for text in packages[name]
  }
  assert len(least) == 1
