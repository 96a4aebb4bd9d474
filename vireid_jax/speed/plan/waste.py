"""What a compiled step should not hold: float32 convolutions, sent maps, copies of images."""

from vireid_jax.speed.plan import listing
from vireid_jax.speed.plan.listing import Instruction

CONVOLUTION = "conv_general_dilated"  # in the name of the traced operation
SUMS, GATHERS = ("all-reduce", "reduce-scatter"), "all-gather"
MAP_AXES = 4  # labels have one axis, features two or, before modalities are merged, three


def float32_convolutions(text: str) -> int:
  """Counts convolutions that read float32.

  Matrix products, which the TPU compiler writes as convolutions too, do not count.

  Args:
    text: `Compiled.as_text()`.
  """
  every = list(listing.instructions(text))
  shapes = {each.name: each.shape for each in every}
  found = [each for each in every if _is_convolution(each)]
  return sum(any(shapes.get(x, "").startswith("f32[") for x in each.operands) for each in found)


def _is_convolution(each: Instruction) -> bool:
  called = each.operation == "custom-call" and "__cudnn$conv" in each.attributes
  return (called or each.operation == "convolution") and CONVOLUTION in each.source


def unwanted_collectives(text: str) -> list[str]:
  """Describes the collectives that neither sum nor gather labels or features.

  A step splits its images by rows from beginning to end. An exchange between pairs of devices, or
  a gathered map [n, h, w, c], is a sign that the compiler split something else.

  Args:
    text: `Compiled.as_text()`.

  Returns:
    Kind, shape and source of each, such as 'all-to-all bf16[8,72,36,64] jit(step)/reshape'.
  """
  return [
    f"{kind} {_plain(each.shape)} {each.source}".rstrip()
    for kind, each in listing.each_collective(text)
    if kind not in SUMS and not (kind == GATHERS and _of_rows(each.shape))
  ]


def _of_rows(shape: str) -> bool:
  return all(len(dimensions) < MAP_AXES for _, dimensions in listing.arrays(shape))


def image_copies(text: str, rows: int, smallest: int) -> list[dict]:
  """Lists the passes that only copy an array of the size of the images to another layout.

  Args:
    text: `Compiled.as_text()`. Copies inside fusions are not passes, and do not count; copies into
      a nearer memory (copy-start) keep the layout.
    rows: Number of pairs of images on a device; the first axis of such arrays is a multiple of it.
    smallest: Bytes from which on an array is that large.

  Returns:
    {'shape', 'source', 'cycles'} of each.
  """
  return [
    {"shape": _plain(each.shape), "source": each.source, "cycles": each.cycles}
    for each in listing.instructions(listing.entry(text))
    if _is_copy(each) and listing.size(each.shape) >= smallest and _leads(each.shape, rows)
  ]


def _leads(shape: str, rows: int) -> bool:
  return all(axes and axes[0] % rows == 0 for _, axes in listing.arrays(shape))


def _is_copy(each: Instruction) -> bool:
  # GPUs copy in fusions, named after what they do.
  named = any(word in each.name for word in ("copy", "transpose"))
  return each.operation in ("copy", "transpose") or (each.operation == "fusion" and named)


def _plain(shape: str) -> str:
  """Returns a shape without layouts."""
  arrays = [f"{kind}[{','.join(map(str, axes))}]" for kind, axes in listing.arrays(shape)]
  return arrays[0] if len(arrays) == 1 else f"({', '.join(arrays)})"
