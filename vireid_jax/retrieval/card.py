"""Constants shared by exports and their readers."""

CARD = "card.json"
FORMAT = 1
