"""What the pages name exists: config keys, variants, options with their defaults, files, links."""

import ast
import importlib
import importlib.util
import json
import pathlib
import re

import config_files
import pytest

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common import options
from vireid_jax.config import keys as keys_lib
from vireid_jax.evaluators import protocols

ROOT = pathlib.Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
# Pages of history or of names to fill in; their links hold too.
BUILDERS = sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("tfds_builders/*/*.md"))
NOTEBOOK = "docs/quickstart.ipynb"
OTHERS_WITH_LINKS = ["CHANGELOG.md", "CONTRIBUTING.md", NOTEBOOK, *BUILDERS]


def read(name):
  return (ROOT / name).read_text(encoding="utf-8")


def keys(config, prefix=""):
  """Returns every key of a config and of its groups, with dots."""
  found = set()
  for name, value in config.items():
    found.add(prefix + name)
    if hasattr(value, "items"):
      found |= keys(value, f"{prefix}{name}.")
  return found


def known_keys():
  found = set()
  for method in methods.names():
    for dataset in config_lib.DATASETS:
      found |= keys(config_lib.default_config(method, dataset))
  # Keys that no default config has.
  protocol_options = (options.declared(protocols.find(name)) for name in protocols.names())
  found |= {f"eval.protocol.{name}" for declared in protocol_options for name in declared}
  return found | set(keys_lib.OPTIONAL)


KNOWN = known_keys()
# Keys of the guide's own method, and of a flag that is written with a list of names.
OTHERS = {"method.weight"}


@pytest.mark.parametrize("name", NAMES)
def test_config_keys_exist(name):
  flags = re.findall(r"--config\.([\w.]+\w)", read(name))
  inline = re.findall(
    r"`(?:config\.)?((?:eval|data|sampler|train|checkpoint|method|optim|augment|log|numerics)\.[\w.]+\w)",
    read(name),
  )
  wrong = {key for key in flags + inline if key not in KNOWN | OTHERS}
  assert not {key for key in wrong if not key.endswith((".py", ".md", ".json"))}


@pytest.mark.parametrize("name", NAMES)
def test_configs_and_variants_load(name):
  for path in set(re.findall(r"configs/\w+\.py(?::[\w,]+)?", read(name))):
    config_lib.load(str(ROOT / path))


@pytest.mark.parametrize("name", NAMES)
def test_modules_and_files_exist(name):
  text = read(name)
  for module in set(re.findall(r"python -m (vireid_jax[\w.]*\w)", text)):
    assert importlib.util.find_spec(module), module
  for path in set(re.findall(r"(?:tests|vireid_jax)/[\w/]+\.py\b", text)):
    assert (ROOT / path).is_file(), path
  for path in set(re.findall(r"`((?:models|methods|data|losses|evaluators)/\w+\.py)`", text)):
    assert (ROOT / "vireid_jax" / path).is_file(), path


def anchors(page):
  """Returns the anchors of a page's titles, as GitHub and the site make them."""
  text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
  titles = re.findall(r"^#+ (.*)$", text, re.M)
  return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def prose(name):
  """Returns a page, or the prose of a notebook."""
  if not name.endswith(".ipynb"):
    return read(name)
  cells = json.loads(read(name))["cells"]
  return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.parametrize("name", [*NAMES, *OTHERS_WITH_LINKS])
def test_links_lead_somewhere(name):
  page = ROOT / name
  for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
    if "://" in target:
      continue
    path, _, anchor = target.partition("#")
    other = page.parent / path if path else page
    assert other.exists(), target
    assert not anchor or anchor in anchors(other), target


def test_pages_that_the_code_names_exist():
  named = {}
  for path in [*ROOT.glob("vireid_jax/**/*.py"), *ROOT.glob("configs/*.py")]:
    for found in re.findall(r"\bdocs/[\w/]+\.(?:md|ipynb)", path.read_text(encoding="utf-8")):
      named[found] = path.name
  assert len(named) >= 3
  assert {page: where for page, where in named.items() if not (ROOT / page).is_file()} == {}


def python_blocks():
  """Returns (page, block) of all Python on the pages that is more than a signature."""
  found = [(name, re.findall(r"^```python\n(.*?)^```", read(name), re.M | re.S)) for name in NAMES]
  return [(name, block) for name, blocks in found for block in blocks if "import " in block]


@pytest.mark.parametrize("name, block", python_blocks(), ids=lambda value: value[:30])
def test_python_on_a_page_uses_names_that_exist(name, block):
  tree = ast.parse(block)
  modules = {}
  for node in ast.walk(tree):
    if isinstance(node, ast.Import | ast.ImportFrom) and "vireid_jax" in ast.unparse(node):
      exec(ast.unparse(node), modules)
  used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
  for node in used:
    owner = ast.unparse(node.value)
    assert owner not in modules or hasattr(modules[owner], node.attr), (name, ast.unparse(node))


def test_variants_of_the_configs_are_those_their_docstrings_list():
  for name in config_files.NAMES:
    source = (ROOT / "configs" / f"{name}.py").read_text(encoding="utf-8")
    for variant in set(re.findall(r"`:(\w+)`", source)):
      config_files.load(name, variant)


@pytest.mark.parametrize(
  "section, method",
  [
    ("DEEN", "deen"),
    ("MPANet", "mpanet"),
    ("MUN", "mun"),
    ("PMT", "pmt"),
    ("SAAI", "saai"),
    ("TMPA", "tmpa"),
  ],
)
def test_options_of_a_method_have_the_defaults_that_are_given(section, method):
  text = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", read("docs/methods.md"), re.M | re.S)[1]
  defaults = keys_lib.flatten(methods.defaults(method))
  given = re.findall(r"`([\w.]+)` (\d+(?:\.\d+)?)(?= |\)|\||,|\.)", text)
  checked = {name: float(value) for name, value in given if name in defaults}
  assert len(checked) >= 3
  assert {name: float(defaults[name]) for name in checked} == checked
  assigned = re.findall(r"`([\w.]+)=(\w+)`", text)
  assert {name for name, _ in assigned} <= set(defaults)


def test_keys_of_an_evaluation_have_the_defaults_that_are_given():
  config = config_lib.default_config("agw", "sysu_mm01")
  rows = re.findall(r"^\| `([\w.]+)` \| `?([^|`]+)`? \|", read("docs/evaluation.md"), re.M)
  checked = 0
  for key, value in rows:
    full = key if key in keys(config) else f"eval.{key}"
    if full not in keys(config) or key == "protocol":
      continue
    found = config
    for part in full.split("."):
      found = found[part]
    assert repr(found).replace("'", "") == value.strip().replace("'", ""), key
    checked += 1
  assert checked >= 9
