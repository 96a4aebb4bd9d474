"""The ground that every room stands on; imports nothing else of this package."""
