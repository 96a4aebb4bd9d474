"""PyTorch names of our variables.

A table maps the path of one of our arrays, such as params/backbone/shared/layer1/block0/conv1/
kernel (see `common.tree_paths`), to its PyTorch name. Import and export use the same table.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping

import numpy as np

from vireid_jax.common.errors import choose
from vireid_jax.common.records import MODALITIES
from vireid_jax.models.resnet import STAGES
from vireid_jax.models.weights import huggingface

Path = tuple[str, ...]
Tensors = dict[str, np.ndarray]

# Our leaf -> PyTorch's, for convolutions, dense layers and batch norm. A neck's bias is a constant
# here and a frozen parameter there.
LEAVES = {
  ("params", "kernel"): "weight",
  ("params", "scale"): "weight",
  ("params", "bias"): "bias",
  ("constants", "bias"): "bias",
  ("batch_stats", "mean"): "running_mean",
  ("batch_stats", "var"): "running_var",
}


@dataclasses.dataclass(frozen=True)
class NameTable:
  """Names of the tensors in one family of PyTorch models.

  Attributes:
    name: Name of the family.
    rule: Function from the components of our path (collection first) to PyTorch's name; see
      `translate`.
    partial: Arrays without a PyTorch name keep their values.
    ignored: Pattern of PyTorch names without a counterpart here.
    ignored_because: Reason for ignoring them, a clause.
    overwritten: Tensor -> the tensor that overwrites it when the published code loads a file.
    unpack: Function from a file's tensors to those that `rule` names, where several tensors of the
      file make one of ours.
    pack: Its inverse.
  """

  name: str
  rule: Callable[[Path], str | None]
  partial: bool
  ignored: str
  ignored_because: str
  overwritten: Mapping[str, str] = dataclasses.field(default_factory=dict)
  unpack: Callable[[Mapping[str, np.ndarray]], Tensors] = dict
  pack: Callable[[Mapping[str, np.ndarray]], Tensors] = dict

  def translate(self, path: str) -> str | None:
    """Returns the PyTorch name of our array 'collection/module/.../leaf', or None."""
    return self.rule(tuple(path.split("/")))

  def ignores(self, name: str) -> bool:
    """Returns whether a tensor of a file is ignored on purpose."""
    return re.fullmatch(rf"(.*\.)?num_batches_tracked|{self.ignored}", name) is not None


def name_table(name: str) -> NameTable:
  """Returns the name table of a family.

  Args:
    name: 'torchvision', 'timm' or 'huggingface' (Vision Transformers), or a method with published
      weights: 'agw', 'caj', 'deen', 'dns', 'mcja', 'mpanet',
      'pmt' or 'saai'.

  Raises:
    UserError: There is no table of this name.
  """
  return choose(name, TABLES, said=f"no table of PyTorch names for {name!r}")


def pretrained_table(names: Collection[str]) -> NameTable:
  """Returns the name table of ImageNet weights: of timm, of Hugging Face or of torchvision."""
  if huggingface.is_huggingface(names):
    return TABLES["huggingface"]
  return TABLES["timm" if "patch_embed.proj.weight" in names else "torchvision"]


def _torchvision(path: Path) -> str | None:
  """Names the stages of a ResNet anywhere in a network, so that all streams are covered."""
  start = next((i for i, stage in enumerate(path) if stage in STAGES), None)
  return None if start is None else _resnet(path, path[start:])


def _agw(path: Path) -> str | None:
  _, *modules, _ = path
  match modules:
    case ["backbone", "shared", stage, block, layer] if block.startswith("non_local"):
      return _non_local(path, stage, block, layer)
    case ["backbone", stream, *_] if stream in _AGW_STREAMS:
      return _prefix(_AGW_STREAMS[stream], _resnet(path, path[3:]))
    case ["head", "neck"]:
      return _leaf(path, "bottleneck")
    case ["head", "classifier"]:
      return _leaf(path, "classifier")
  return None


_AGW_STREAMS = {
  "visible": "visible_module.visible.",
  "infrared": "thermal_module.thermal.",
  "shared": "base_resnet.base.",
}


def _non_local(path: Path, stage: str, block: str, layer: str) -> str | None:
  place = f"NL_{stage.removeprefix('layer')}.{block.removeprefix('non_local')}"
  layers = {"theta": "theta", "phi": "phi", "g": "g.0", "out": "W.0", "norm": "W.1"}
  return _leaf(path, f"{place}.{layers[layer]}")


def _dns(path: Path) -> str | None:
  collection, *modules, leaf = path
  if collection == "mean_classifiers":
    return f"DD.{leaf}_classifier_.weight"
  match modules:
    case ["backbone", "hss3" | "hss4" as block, layer]:
      return _leaf(path, f"base.{block.upper()}.{_DNS_HSS[layer]}")
    case ["backbone", "shift", layer]:
      return _leaf(path, f"CSS.mlp.{_DNS_CSS[layer]}")
    case ["backbone", stream, *_]:
      return _prefix(_DNS_STREAMS[stream], _resnet(path, path[3:]))
    case ["head", "neck"]:
      return _leaf(path, "bottleneck")
    case ["head", "classifier"]:
      return _leaf(path, "classifier")
    case ["modality_classifiers"]:
      return f"DD.{leaf}_classifier.weight"
  return None


_DNS_STREAMS = {
  "visible": "visible.visible.",
  "infrared": "thermal.thermal.",
  "stage3": "base.base.",
  "stage4": "base.base.",
}
_DNS_HSS = {
  "squeeze": "channel_attention.0",
  "norm": "channel_attention.1",
  "rows": "conv_h",
  "columns": "conv_w",
}
_DNS_CSS = {"norm": "0", "expand": "1", "reduce": "4"}


def _deen(path: Path) -> str | None:
  _, *modules, _ = path
  match modules:
    case ["backbone", part, *_] if part.startswith("stages_"):
      return _prefix(_AGW_STREAMS["shared"], _resnet(path, path[3:]))
    case ["backbone", part, block, layer] if part.startswith("aggregate_"):
      number = int(part.removeprefix("aggregate_")) + 1
      layer = {"out": "W.0", "norm": "W.1"}.get(layer, layer)
      return _leaf(path, f"MFA{number}.{block.upper()}.{layer}")
    case ["backbone", "expand", layer]:
      branch, part = layer.removeprefix("branch").split("_")
      return _leaf(path, f"DEE.FC{branch}{part.removeprefix('dilation').removeprefix('out')}")
  return _agw(path)


def _mcja(path: Path) -> str | None:
  _, *modules, leaf = path
  match modules:
    case ["backbone", stage, block, *layer] if block.startswith("non_local"):
      number = block.removeprefix("non_local")
      place = f"MDA_{stage.removeprefix('layer')}.{number}"
      return _leaf(path, f"{place}.{_MCJA_MDA[layer[0] if layer else leaf]}")
    case ["backbone", *_]:
      return _prefix("backbone.", _resnet(path, path[2:]))
    case ["head", "neck"]:
      return _leaf(path, "bn_neck")
    case ["head", "classifier"]:
      return _leaf(path, "classifier")
  return None


_MCJA_MDA = {"scores": "sc_conv", "kernel": "ca_conv", "gate_norm": "ca_bn", "norm": "norm_bn"}


def _mpanet(path: Path) -> str | None:
  collection, *modules, leaf = path
  if collection == "mean_classifiers":
    return f"{leaf}_classifier_.weight"
  match modules:
    case ["lower" | "upper", *_]:
      return _prefix("backbone.", _resnet(path, path[2:]))
    case ["mam3" | "mam4" as block, "squeeze" | "excite" as layer]:
      index = {"squeeze": 0, "excite": 2}[layer]
      return _leaf(path, f"backbone.{block.upper()}.channel_attention.{index}")
    case ["pam", "masks"]:
      return _leaf(path, "spatial_attention")
    case ["head", "neck"]:
      return _leaf(path, "bn_neck")
    case ["head", "classifier"]:
      return _leaf(path, "classifier")
    case ["modality_classifiers"]:
      return f"{leaf}_classifier.weight"
  return None


def _saai(path: Path) -> str | None:
  _, *modules, leaf = path
  match modules:
    case ["safl"]:
      names = {"prototypes": "part_tokens", "position": "pos_embeding"}  # as published
      return f"attn_pool.{names[leaf]}"
    case ["head", modality] if modality in MODALITIES:
      return _leaf(path, f"bn_neck.bn_neck_{modality[0]}")
  return _mpanet(path)


def _pmt(path: Path) -> str | None:
  match path[1:-1]:
    case ["head", "neck"]:
      return _leaf(path, "bottleneck")
    case ["head", "classifier"]:
      return _leaf(path, "classifier")
  return _prefix("base.", _vit(path))


def _vit(path: Path) -> str | None:
  """Names the arrays of a Vision Transformer that is called 'backbone'."""
  match path[1:]:
    case ["backbone", ("cls_token" | "pos_embed") as token]:
      return token
    case ["backbone", "patch_embed", _]:
      return _leaf(path, "patch_embed.proj")
    case ["backbone", "norm", _]:
      return _leaf(path, "norm")
    case ["backbone", "blocks", block, *layers, _]:
      return _leaf(path, ".".join(["blocks", block.removeprefix("block_"), *layers]))
  return None


def _resnet(path: Path, inside: Path) -> str | None:
  """Names an array by its path from the stage, such as layer1/block0/conv1/kernel."""
  stage, *modules, _ = inside
  if stage == "stem":
    return _leaf(path, modules[0])
  block, *layers = modules
  if not block.startswith("block"):
    return None
  (layer,) = layers
  layer = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}.get(layer, layer)
  return _leaf(path, f"{stage}.{block.removeprefix('block')}.{layer}")


def _leaf(path: Path, module: str) -> str | None:
  leaf = LEAVES.get((path[0], path[-1]))
  return leaf and f"{module}.{leaf}"


def _prefix(prefix: str, name: str | None) -> str | None:
  return name and prefix + name


def _averages(prefix: str = "") -> dict[str, str]:
  """Returns what overwrites the modality classifiers when the published code loads a file.

  In a new model a classifier and its average share memory until the first step. After loading, both
  are the average, which comes last in the file.
  """
  return {
    f"{prefix}{name}_classifier.weight": f"{prefix}{name}_classifier_.weight" for name in MODALITIES
  }


_AGW = NameTable(
  "agw",
  _agw,
  False,
  r"(visible_module\.visible|thermal_module\.thermal|base_resnet\.base)"
  r"\.((conv1|bn1|layer[1-4])\..*|fc\.(weight|bias))",
  "each stream of AGW's code is a whole ResNet, of which the forward pass uses some stages",
)
_MPANET = NameTable(
  "mpanet",
  _mpanet,
  False,
  r"backbone\.fc\.(weight|bias)",
  "the ImageNet classifier",
  _averages(),
)
_TIMM = NameTable(
  "timm",
  _vit,
  True,
  r"(head|head_dist|pre_logits\.fc)\.(weight|bias)|dist_token",
  "the ImageNet classifier",
)
TABLES = {
  "torchvision": NameTable(
    "torchvision", _torchvision, True, r"fc\.(weight|bias)", "the ImageNet classifier"
  ),
  "timm": _TIMM,
  "huggingface": dataclasses.replace(
    _TIMM,
    name="Hugging Face",
    ignored=(
      r"((vit|deit)\.)?(classifier|cls_classifier|distillation_classifier|pooler\.dense)"
      r"\.(weight|bias)|((vit|deit)\.)?embeddings\.(distillation_token|mask_token)"
    ),
    unpack=huggingface.to_timm,
    pack=huggingface.from_timm,
  ),
  "agw": _AGW,
  "caj": dataclasses.replace(_AGW, name="caj"),  # and CAJ+: the network is AGW's
  "deen": dataclasses.replace(
    _AGW,
    name="deen",
    rule=_deen,
    ignored_because=_AGW.ignored_because.replace("AGW", "DEEN"),
  ),
  "dns": NameTable(
    "dns",
    _dns,
    False,
    r"base\.base\.layer[12]\..*",
    "the shared network in DNS's code has stages 1 and 2, which its forward pass does not use",
    _averages("DD."),
  ),
  "mcja": NameTable(
    "mcja", _mcja, False, r"backbone\.fc\.(weight|bias)", "the ImageNet classifier"
  ),
  "mpanet": _MPANET,
  "saai": dataclasses.replace(_MPANET, name="saai", rule=_saai),
  "pmt": NameTable(
    "pmt", _pmt, False, r"base\.(head|fc)\.(weight|bias)", "the ImageNet classifier"
  ),
}
