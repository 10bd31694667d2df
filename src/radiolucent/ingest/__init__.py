"""What comes in, and what may be read."""
