"""Configs are found by name: the user's first, then this package's."""

import pathlib
import subprocess
import sys

import pytest

from vireid_jax import config as config_lib
from vireid_jax.common.errors import UserError
from vireid_jax.config import places

ROOT = pathlib.Path(__file__).parents[2]
START = "from vireid_jax import config as config_lib\ndef get_config(arg=''):\n"
MINE = f"{START}  config = config_lib.default_config('agw', 'sysu_mm01')\n  config.seed = 77\n"


@pytest.mark.parametrize("given", ["mun_sysu", "configs/mun_sysu.py", "./configs/mun_sysu.py"])
def test_a_config_of_the_package_is_found_in_any_folder(given, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert places.find(given) == ROOT / "configs" / "mun_sysu.py"
  assert config_lib.load(f"{given}:smoke").method.name == "mun"
  assert str(config_lib.workdir(f"{given}:smoke")) == "runs/mun_sysu-smoke"


def test_the_user_s_configs_come_first_and_a_folder_of_that_name_hides_none(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").mkdir()
  (tmp_path / "mun_sysu").mkdir()
  assert places.find("mun_sysu") == ROOT / "configs" / "mun_sysu.py"
  for name in ("mun_sysu", "of_mine"):
    (tmp_path / "configs" / f"{name}.py").write_text(f"{MINE}  return config\n")
    for given in (name, f"configs/{name}.py"):
      assert config_lib.load(given).seed == 77
  assert "of_mine" in places.names() and "tmpa_llcm" in places.names()


@pytest.mark.parametrize(
  "given, said",
  [
    ("mun_syzu", "no file 'mun_syzu'; did you mean 'mun_sysu'"),
    ("mun-sysu", "no file 'mun-sysu'; did you mean 'mun_sysu'"),
    ("configs/mun_syzu.py", r"no file 'configs/mun_syzu\.py'; did you mean 'configs/mun_sysu\.py'"),
    ("other/mun_sysu.py", r"no file 'other/mun_sysu\.py'; did you mean 'configs/mun_sysu\.py'"),
    ("configs/../mun_sysu.py", "no file"),
    ("qqqqqqqqqq", "allowed: agw_llcm, agw_own, "),
    ("folder", "'folder' is a folder"),
  ],
)
def test_an_unknown_config_names_those_that_come_close(given, said, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "folder").mkdir()
  with pytest.raises(UserError, match=said):
    config_lib.load(given)


def test_an_installation_has_the_configs_inside_the_package(tmp_path, monkeypatch):
  assert places.installed() == ROOT / "configs"
  (tmp_path / "vireid_jax" / "configs").mkdir(parents=True)
  monkeypatch.setattr(places, "_PACKAGE", tmp_path / "vireid_jax")
  assert places.installed() == tmp_path / "vireid_jax" / "configs"


def test_a_build_of_the_package_holds_every_config(tmp_path):
  pytest.importorskip("setuptools")
  words = ["setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
  subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
  built = {path.name: path.read_bytes() for path in (tmp_path / "vireid_jax/configs").iterdir()}
  assert built == {path.name: path.read_bytes() for path in (ROOT / "configs").glob("*.py")}
