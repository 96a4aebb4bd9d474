"""Using a trained network: features of pictures, search, export."""
