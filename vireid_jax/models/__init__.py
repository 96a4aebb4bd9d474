"""Networks and their parts, as Flax Linen modules."""
