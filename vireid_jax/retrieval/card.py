"""What an export and its readers agree on."""

CARD = "card.json"
FORMAT = 1
