"""Synthetic studies with known truth."""
