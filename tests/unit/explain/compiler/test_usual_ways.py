"""Ways in which researchers write a forward pass: each is compiled to what autograd says, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from radiolucent.engines.manifest import InputSpec, ScopeSpec  # noqa: E402 - these need torch, which may be absent
from radiolucent.engines.runtime import load_engine  # noqa: E402
from radiolucent.errors import InvalidBundle  # noqa: E402
from radiolucent.explain.compiler.answers import as_given, scores_of  # noqa: E402
from radiolucent.explain.compiler.compile import Explained, check_against_autograd, compile_engine, find_head  # noqa: E402
from radiolucent.explain.compiler.graph import split, trace  # noqa: E402
from radiolucent.explain.compiler.heads import NoGrid  # noqa: E402
from radiolucent.explain.compiler.plan import Plan  # noqa: E402

nn, functional = torch.nn, torch.nn.functional
Forward = Callable[[Any, Any], Any]


class Network(nn.Module):  # type: ignore[name-defined]
    """Three convolutions to 8 × 8 cells of 24 channels; what comes after is the case's own."""

    def __init__(self, head: Forward, **parts: Any) -> None:
        super().__init__()
        torch.manual_seed(4)
        sizes = ((1, 8), (8, 16), (16, 24))
        self.features = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.BatchNorm2d(o), nn.ReLU(inplace=True)) for i, o in sizes)
        )
        self.fc = nn.Linear(24, 3)
        for name, part in parts.items():
            setattr(self, name, part)
        self.head = head

    def forward(self, x: Any) -> Any:
        return self.head(self, self.features(x))


def tokens(x: Any) -> Any:
    return x.flatten(2).transpose(1, 2)


def maximum_beside_mean(net: Any, x: Any) -> Any:
    both = [functional.adaptive_avg_pool2d(x, 1), functional.adaptive_max_pool2d(x, 1)]
    return net.fc(torch.cat(both, 1).flatten(1))


def by_queries(net: Any, x: Any) -> Any:
    seen = net.attention(net.queries.expand(x.shape[0], -1, -1), tokens(x), tokens(x), need_weights=False)[0]
    return (seen * net.weights).sum(-1)


def spatial_attention(net: Any, x: Any) -> Any:
    return net.fc((x * torch.sigmoid(net.gate(torch.cat([x.mean(1, True), x.amax(1, True)], 1)))).mean((2, 3)))


def in_place(net: Any, x: Any) -> Any:
    x += 0.1
    x.mul_(1.1).clamp_(0, 6)
    return net.fc(x.mean([2, 3]))


def attention() -> dict[str, Any]:
    torch.manual_seed(5)
    made = nn.MultiheadAttention(24, 2, batch_first=True)
    return {
        "attention": made,
        "queries": nn.Parameter(torch.randn(1, 4, 24)),
        "weights": nn.Parameter(torch.randn(1, 4, 24)),
    }


WAYS: dict[str, tuple[str, Callable[[], Any]]] = {
    "in place": ("linear", lambda: Network(in_place)),
    "functional pooling, squeezed": (
        "linear",
        lambda: Network(lambda net, x: net.fc(functional.avg_pool2d(x, x.size()[2:]).squeeze())),
    ),
    "reshaped and averaged": (
        "linear",
        lambda: Network(lambda net, x: net.fc(x.view(x.shape[0], x.shape[1], -1).mean(-1))),
    ),
    "flattened with a fixed size": (
        "cells",
        lambda: Network(lambda net, x: net.fc(x.reshape(-1, 24 * 8 * 8)), fc=nn.Linear(24 * 64, 3)),
    ),
    "channels last": (
        "linear",
        lambda: Network(lambda net, x: net.fc(x.contiguous(memory_format=torch.channels_last).mean((2, 3)))),
    ),
    "generalised mean": (
        "gradient",
        lambda: Network(lambda net, x: net.fc(x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3))),
    ),
    "maximum": ("gradient", lambda: Network(lambda net, x: net.fc(functional.adaptive_max_pool2d(x, 1).flatten(1)))),
    "maximum beside mean": ("gradient", lambda: Network(maximum_beside_mean, fc=nn.Linear(48, 3))),
    "the largest cells": (
        "gradient",
        lambda: Network(lambda net, x: net.maps(x).flatten(2).topk(5, 2).values.mean(2), maps=nn.Conv2d(24, 3, 1)),
    ),
    "a small ReLU network, silent near zero": (
        "gradient",
        lambda: Network(
            lambda net, x: net.fc(x.mean((2, 3))), fc=nn.Sequential(nn.Linear(24, 16), nn.ReLU(True), nn.Linear(16, 3))
        ),
    ),
    "four queries": ("gradient", lambda: Network(by_queries, **attention())),
    "spatial attention": ("linear", lambda: Network(spatial_attention, gate=nn.Conv2d(2, 1, 7, 1, 3))),
    "log-softmax": ("linear", lambda: Network(lambda net, x: functional.log_softmax(net.fc(x.mean((2, 3))), 1))),
    "sigmoid, squeezed": (
        "linear",
        lambda: Network(lambda net, x: torch.sigmoid(net.fc(x.mean((2, 3)))).squeeze(1), fc=nn.Linear(24, 1)),
    ),
    "half precision": ("linear", lambda: Network(lambda net, x: net.fc(x.mean((2, 3)))).half()),
    "several GPUs": ("linear", lambda: nn.DataParallel(Network(lambda net, x: net.fc(x.mean((2, 3)))))),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_usual_way_gives_the_evidence_that_autograd_says(way: str) -> None:
    kind, make = WAYS[way]
    batch = torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(6))
    whole, _ = scores_of(as_given(make())[0], batch)
    traced = trace(whole, batch[:2])
    cut, head = find_head(traced, batch)
    explained = Explained(*split(traced, cut.node), head.maps).eval()
    assert (head.kind, head.grid) == (kind, (8, 8))
    assert check_against_autograd(traced, head, explained, batch) < 1e-5
    with torch.no_grad():
        logits, evidence = explained(batch[:1])
        torch.testing.assert_close(traced.as_given(batch[:1]), torch.cat(whole(batch[:1]), 1), atol=1e-5, rtol=0)
    if kind != "gradient":
        torch.testing.assert_close(evidence.mean((2, 3)) + torch.tensor(head.biases), logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (lambda net, x: net.fc(x.bfloat16().float().mean((2, 3))), "the network computes in bfloat16"),
        (lambda net, x: net.fc(x.mean((2, 3))) if x.max() > 0 else None, "an if or an assert"),
        (lambda net, x: net.fc(x.mean((2, 3))).view(len(x), 3), "x.shape"),
        (lambda net, x: net.fc(torch.from_numpy(x.detach().numpy().mean((2, 3)))), "can't be written as one graph"),
        (lambda net, x: net.fc(x.mean((2, 3), keepdim=True).flatten(1).squeeze(0)[..., :7]), "the network fails on"),
    ],
    ids=["autocast", "a branch", "a built-in batch", "numpy", "a shape that doesn't fit"],
)
def test_what_can_not_be_compiled_is_refused_with_a_reason(head: Forward, why: str) -> None:
    batch = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(6))
    with pytest.raises(InvalidBundle, match=why):
        trace(scores_of(Network(head).eval(), batch)[0], batch)


def test_queries_alone_are_no_picture() -> None:
    batch = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(6))
    traced = trace(scores_of(Network(by_queries, **attention()).eval(), batch)[0], batch)
    with pytest.raises(NoGrid, match="its cells don't lie as the image does"):
        find_head(traced, batch, "attention")
    assert find_head(traced, batch)[1].grid == (8, 8)


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "name": "tried",
        "version": "1.0.0",
        "title": "Tried",
        "summary": "For a test.",
        "licence": "MIT",
        "findings": ("mass", "nodule"),
        "input": InputSpec(recipe="brain-mri", height=64, width=64),
        "scope": ScopeSpec(modalities=["DX"], limits=["it has random weights"]),
    }
    return Plan(**values | changes)


def test_a_softmax_with_a_class_left_out_behind_a_normalisation_and_a_maximum(tmp_path: Path) -> None:
    def answer(net: Any, x: Any) -> Any:
        logits = net.fc(functional.adaptive_max_pool2d(x, 1).flatten(1))
        return {"probabilities": logits.softmax(1), "features": x}

    network = Network(answer).eval()
    chosen = plan(rows=(2, 0), mean=(0.4,), std=(0.2,), target_layer="features.1")
    compiled = compile_engine(network, chosen, tmp_path / "bundle")
    assert compiled.layer == "features.1.2"  # as the network calls it, whatever was put around it
    assert compiled.notes == (
        "left out of what the network gives: features (2, 24, 8, 8)",
        "a final softmax was taken off: the target is the logit",
    )
    images = np.random.default_rng(1).standard_normal((3, 1, 64, 64)).astype(np.float32)
    with torch.no_grad():
        wanted = network((torch.from_numpy(images) - 0.4) / 0.2)["probabilities"].log()
    found = load_engine(compiled.bundle, threads=1).run(images).logits
    np.testing.assert_allclose(found[:, 0] - found[:, 1], wanted[:, 2] - wanted[:, 0], atol=1e-4)
