"""Reads the Markdown tables that commands print."""


def cells(text: str) -> list[list[str]]:
  """Returns the rows of all tables, their heads included, as lists of cells."""
  lines = [line for line in text.splitlines() if line.startswith("| ")]
  return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
