"""Ways of explaining a score: one call, `attribute`, whatever the method needs."""

from radiolucent.explain.methods.attribute import attribute, input_digest
from radiolucent.explain.methods.perturb import Budget, ExplanationStopped

__all__ = ["Budget", "ExplanationStopped", "attribute", "input_digest"]
