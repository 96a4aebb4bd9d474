"""What a program would need and move on hardware that is not here, by the vendors' compilers."""
