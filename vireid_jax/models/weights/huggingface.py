"""Hugging Face's names of Vision Transformers, to timm's and back."""

import re
from collections.abc import Mapping

import numpy as np

Tensors = dict[str, np.ndarray]

PREFIXES = ("vit.", "deit.", "")
_OUTSIDE = {
  "embeddings.cls_token": "cls_token",
  "embeddings.position_embeddings": "pos_embed",
  "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
  "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
  "layernorm.weight": "norm.weight",
  "layernorm.bias": "norm.bias",
}
_LAYERS = {
  "layernorm_before": "norm1",
  "attention.output.dense": "attn.proj",
  "layernorm_after": "norm2",
  "intermediate.dense": "mlp.fc1",
  "output.dense": "mlp.fc2",
}
_PARTS = ("query", "key", "value")
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.(weight|bias)")


def is_huggingface(names) -> bool:
  """Returns whether tensors with these names are a Vision Transformer of Hugging Face's."""
  return any(f"{prefix}embeddings.cls_token" in names for prefix in PREFIXES)


def to_timm(weights: Mapping[str, np.ndarray]) -> Tensors:
  """Renames tensors to timm's names and concatenates queries, keys and values.

  Tensors that are not part of the Transformer, such as the classifier, keep their names.
  """
  prefix = next((p for p in PREFIXES if f"{p}embeddings.cls_token" in weights), "")
  found: Tensors = {}
  for name, value in weights.items():
    if name.startswith(prefix):
      name = _timm_name(name.removeprefix(prefix), name)
    found[name] = value
  return _fuse(found)


def from_timm(weights: Mapping[str, np.ndarray]) -> Tensors:
  """Undoes `to_timm`, with the prefix 'vit.'."""
  outside = {new: old for old, new in _OUTSIDE.items()}
  layers = {new: old for old, new in _LAYERS.items()}
  found: Tensors = {}
  for name, value in weights.items():
    match = _BLOCK.fullmatch(name)
    if not match:
      found[PREFIXES[0] + outside.get(name, name)] = value
      continue
    number, layer, kind = match.groups()
    start = f"{PREFIXES[0]}encoder.layer.{number}."
    if layer in layers:
      found[f"{start}{layers[layer]}.{kind}"] = value
    else:
      for part, rows in zip(_PARTS, np.split(value, len(_PARTS)), strict=True):
        found[f"{start}attention.attention.{part}.{kind}"] = np.ascontiguousarray(rows)
  return found


def _timm_name(name: str, other: str) -> str:
  """Returns timm's name, in which queries, keys and values are still apart; or the other name."""
  match = _LAYER.fullmatch(name)
  if not match:
    return _OUTSIDE.get(name, other)
  number, layer, kind = match.groups()
  part = layer.removeprefix("attention.attention.")
  layer = f"attn.{part}" if part in _PARTS else _LAYERS.get(layer)
  return f"blocks.{number}.{layer}.{kind}" if layer else other


def _fuse(weights: Tensors) -> Tensors:
  """Concatenates queries, keys and values of each block; incomplete ones keep their names."""
  for name in [name for name in weights if ".attn.query." in name]:
    names = [name.replace(".query.", f".{part}.") for part in _PARTS]
    if all(each in weights for each in names):
      fused = np.concatenate([weights.pop(each) for each in names])
      weights[name.replace(".query.", ".qkv.")] = fused
  return weights
