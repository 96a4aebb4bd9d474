"""PyTorch's sides of the benchmarks: training step and embedding of the two-stream baseline.

Eager or compiled, channels last, autocast if the dtype is bfloat16. Needs PyTorch.
"""

import argparse
import time
from collections.abc import Callable

import jax
import torch
from ml_collections import ConfigDict
from torch.utils.flop_counter import FlopCounterMode

from vireid_jax.common.errors import UserError
from vireid_jax.methods.agw import RESNETS
from vireid_jax.methods.common import Metric
from vireid_jax.speed import setting, torch_model
from vireid_jax.speed.turns import Side


def train_side(config: ConfigDict, options: argparse.Namespace, name: str) -> Side:
  """Returns a training step on a fixed batch of random uint8 images.

  Depth, width, image size, batch, dtype and optimiser follow the config, and so do pooling and
  losses if its method is AGW. Images are cropped and mirrored within the step, as on the JAX sides;
  any other augmentation of the config is left out.
  """
  device, dtype = _device(), setting.compute_dtype(config)
  network = build(config, options.identities).to(device, memory_format=torch.channels_last)
  optimizer = make_optimizer(config, network)
  batch = {
    key: torch.from_numpy(value).to(device)
    for key, value in setting.random_batch(config, options.identities).items()
  }
  compute = _maybe_compile(training_loss(config, network, device, dtype), name)

  def call() -> None:
    optimizer.zero_grad(set_to_none=True)
    compute(batch).backward()
    optimizer.step()
    _wait(device)

  return _side(name, call, 2 * len(batch["label"]), dtype)


def embed_side(config: ConfigDict, options: argparse.Namespace, name: str) -> Side:
  """Returns the embedding of a fixed batch of random uint8 images by the visible stream."""
  device, dtype = _device(), setting.compute_dtype(config)
  network = build(config, options.identities).to(device, memory_format=torch.channels_last).eval()
  images = torch.from_numpy(setting.random_images(config, options.batch)).to(device)

  def embed() -> torch.Tensor:
    with _autocast(device, dtype):
      return network.embed(torch_model.normalize(images))

  compute = _maybe_compile(embed, name)

  def call() -> None:
    with torch.inference_mode():
      compute()
    _wait(device)

  return _side(name, call, options.batch, dtype)


def build(config: ConfigDict, classes: int) -> torch_model.TwoStream:
  """Returns the baseline with the sizes of a config; refuses one without a ResNet."""
  backbone = config.method.get("backbone", "resnet")
  if not backbone.startswith("resnet"):
    raise UserError(
      f"config.method.backbone = {backbone!r}: the PyTorch baseline is a two-stream ResNet; give "
      "a config with a ResNet, or leave out --baseline"
    )
  options = agw_options(config)
  return torch_model.TwoStream(
    depth=RESNETS.get(backbone, config.method.depth),
    width=config.method.width,
    classes=classes,
    pooling=options["pooling"],
  )


def agw_options(config: ConfigDict) -> dict:
  """Returns pooling and metric loss of an AGW config, or of `agw_*:base` for other methods."""
  if config.method.name == "agw":
    return {"pooling": config.method.pooling, "metric": Metric(**config.method.metric)}
  return {"pooling": "average", "metric": Metric("triplet")}


def make_optimizer(config: ConfigDict, network: torch.nn.Module) -> torch.optim.Optimizer:
  """Returns the config's optimiser at its peak learning rate."""
  optim, trained = config.optim, [p for p in network.parameters() if p.requires_grad]
  adams = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
  if optim.name in adams:
    return adams[optim.name](trained, lr=optim.lr, weight_decay=optim.weight_decay)
  return torch.optim.SGD(
    trained,
    lr=optim.lr,
    momentum=optim.momentum,
    nesterov=optim.nesterov,
    weight_decay=optim.weight_decay,
  )


def training_loss(
  config: ConfigDict, network: torch_model.TwoStream, device: torch.device, dtype: str
) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
  """Returns a function from a uint8 batch to the scalar loss."""
  options = agw_options(config)

  def compute(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    images = [
      torch_model.normalize(torch_model.crop_flip(batch[key])) for key in ("visible", "infrared")
    ]
    with _autocast(device, dtype):
      pooled, logits = network(*images)
    labels = batch["label"].long().repeat(2)
    return torch_model.loss(
      pooled, logits, labels, metric=options["metric"].name, margin=options["metric"].margin
    )

  return compute


def _side(name: str, call: Callable[[], None], images: int, dtype: str) -> Side:
  """Builds a side; counts the operations of an eager call, or times the compilation."""
  facts = {"dtype": dtype}
  if name == setting.EAGER:
    with FlopCounterMode(display=False) as counter:
      call()
    facts["flops"] = float(counter.get_total_flops())
  else:
    started = time.perf_counter()
    call()
    facts["compile_seconds"] = time.perf_counter() - started
  return Side(name, call, images=images, facts=facts, is_baseline=True)


def _maybe_compile(function: Callable, name: str) -> Callable:
  return torch.compile(function) if name == setting.COMPILED else function


def _device() -> torch.device:
  backend = jax.default_backend()
  if backend == "cpu":
    return torch.device("cpu")
  if backend != "gpu" or not torch.cuda.is_available():
    raise UserError(
      f"--baseline: JAX runs on {backend}, which this PyTorch {torch.__version__} cannot use; "
      "install a build for the device, or compare on CPU with JAX_PLATFORMS=cpu"
    )
  torch.backends.cudnn.benchmark = True
  torch.set_float32_matmul_precision("high")  # TF32, like JAX's default precision
  return torch.device("cuda")


def _autocast(device: torch.device, dtype: str) -> torch.autocast:
  return torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16")


def _wait(device: torch.device) -> None:
  if device.type == "cuda":
    torch.cuda.synchronize()
