"""Packages that only the page needs."""

import importlib.util

from vireid_jax.common import hints
from vireid_jax.common.errors import UserError

PACKAGES = {"matplotlib": "matplotlib", "jinja2": "jinja2", "sklearn": "scikit-learn"}


def check() -> None:
  """Raises UserError if a package is missing, with the command that installs all of them."""
  missing = [name for module, name in PACKAGES.items() if not importlib.util.find_spec(module)]
  if missing:
    raise UserError(
      f"the report page needs {', '.join(missing)}: pip install 'vireid_jax[report]' (in a "
      "checkout pip install -e '.[report]'). "
      f"{hints.command('report')} without --html does not need them"
    )
