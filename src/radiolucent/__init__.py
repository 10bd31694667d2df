"""Explainable radiology AI: a study in, findings out, each with its own heatmap. Not for clinical use."""

__version__ = "0.1.0"
