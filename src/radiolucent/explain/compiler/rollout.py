"""Attention rollout of a transformer with a class token: where it looked, the same for every finding.

Source: S. Abnar, W. Zuidema, Quantifying Attention Flow in Transformers, ACL 2020 (arXiv:2005.00928), section 3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, fx, nn

from radiolucent.explain.compiler.graph import Traced, ending_at
from radiolucent.explain.compiler.heads import Layout

_ATTENTION = torch.ops.aten.scaled_dot_product_attention.default
NOTE = (
    "the graph's third output, rollout (N, 1, h, w), is attention rollout: class-agnostic, the same for every finding, "
    "and no evidence for any"
)


class Rollout(nn.Module):
    """Images → ``(N, 1, h, w)``: the class token's share of each cell through all layers, at least 0, at most 1 in sum.

    Each layer mixes as ``(A + I) / 2``, with `A` the mean over the heads: half of what a token holds is kept.
    """

    def __init__(self, projections: fx.GraphModule, scales: tuple[float | None, ...], layout: Layout) -> None:
        super().__init__()
        self.projections, self.scales, self.layout = projections, scales, layout

    def forward(self, x: Tensor) -> Tensor:
        pairs = self.projections(x)
        flow: Tensor | None = None
        for scale, query, key in zip(self.scales, pairs[::2], pairs[1::2], strict=True):
            factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
            weights = torch.softmax(query @ key.transpose(-2, -1) * factor, dim=-1).mean(dim=1)
            mixed = (weights + torch.eye(weights.shape[-1])) / 2
            flow = mixed if flow is None else mixed @ flow
        assert flow is not None
        return flow[:, :1, self.layout.prefix :].unflatten(2, self.layout.grid)


def attention_rollout(traced: Traced, layout: Layout) -> Rollout | None:
    """The rollout of a network, or None where it has no class token or attends otherwise than over all its tokens.

    Parameters
    ----------
    traced : the network.
    layout : of its tokens, with a class token before the cells.
    """
    if layout.prefix != 1 or len(layout.grid) != 2:
        return None
    tokens = layout.prefix + math.prod(layout.grid)
    nodes = [node for node in traced.module.graph.nodes if node.target is _ATTENTION]
    if not nodes or not all(_is_plain(node, tokens) for node in nodes):
        return None
    asked = [argument for node in nodes for argument in node.args[:2] if isinstance(argument, fx.Node)]
    scales = tuple(node.kwargs.get("scale") for node in nodes)
    return Rollout(ending_at(traced.module, asked), scales, layout)


def _is_plain(node: fx.Node, tokens: int) -> bool:
    """Attention of every token to every token, without a mask."""
    shapes = [argument.meta["val"].shape for argument in node.args[:2] if isinstance(argument, fx.Node)]
    whole = len(shapes) == 2 and all(len(shape) == 4 and shape[2] == tokens for shape in shapes)
    masked = any(node.args[3:4]) or node.kwargs.get("attn_mask") is not None or any(node.args[5:6])
    return whole and not masked
