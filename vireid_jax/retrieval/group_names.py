"""Kinds of groups; imports nothing, as every search --help needs them."""

TRACK, IDENTITY = GROUPS = ("track", "identity")
