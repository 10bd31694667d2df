"""Explainable radiology AI: a study in, findings out, each with its own heatmap. Not for clinical use."""

from typing import Any

__all__ = ["explain_finding", "load", "read", "show"]
__version__ = "0.1.0"

# the face for notebooks: ``import radiolucent as rl; reading = rl.read("study/")``; loaded when first asked for, so
# that importing the package stays free of everything slow
_FACE = {
    "explain_finding": ("radiolucent.pipeline.explain", "explain"),
    "load": ("radiolucent.imaging.loading", "load"),
    "read": ("radiolucent.pipeline.read_path", "read"),
    "show": ("radiolucent.pipeline.notebook", "show"),
}


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'radiolucent' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _FACE[name]
    return getattr(import_module(module), attribute)
