"""Which pictures this package can read without changing what they show."""

from PIL import Image as PillowImage

from vireid_jax.errors import UserError


def refuse_deep_pixels(picture: PillowImage.Image) -> None:
  """Raises UserError for pixels of more than eight bits.

  Thermal cameras write such files; converting them to eight bits would saturate nearly all of
  their range, and how to scale it is the owner's knowledge.
  """
  if picture.mode.startswith(("I", "F")):
    raise UserError(
      f"its pixels have more than 8 bits (mode {picture.mode}); save it with 8 bits per channel"
    )
