"""Using a trained network: features of any pictures, search among them, ranked lists."""
