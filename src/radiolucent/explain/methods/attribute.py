"""How one image is explained by any method: the network's input and an engine in, one `Explanation` a finding out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.manifest import HeadSpec
from radiolucent.engines.runtime import Engine, load_twin
from radiolucent.errors import MissingExtra, SetupError
from radiolucent.explain.explanation import Explanation, Method, find_method
from radiolucent.explain.methods import forward
from radiolucent.explain.methods.perturb import Budget, Hidden
from radiolucent.imaging.geometry import PixelRecord

if TYPE_CHECKING:
    from radiolucent.explain.attribution import Twin

Image = NDArray[np.float32]
Maps = NDArray[np.float32]
SMALLEST_PASSES = 3


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Maps of the findings by index, what they should add up to, and the passes that they took."""

    maps: Mapping[int, Maps]
    sums: Mapping[int, float]
    passes: int


def attribute(
    engine: Engine,
    image: Image,
    record: PixelRecord,
    finding: str,
    method: str = "grad-cam",
    *,
    seed: int = 0,
    frame: int = 0,
    budget: Budget | None = None,
) -> tuple[Explanation, ...]:
    """Explain one image: all findings where they come from the same samples, else the one that is asked for.

    Parameters
    ----------
    image : float32 ``(C, H, W)``, network input.
    record : frame pixels → network input.
    finding : name; it comes first in the result.
    method : name in `explain.explanation.METHODS`.
    seed : of everything random; the same seed gives the same map.
    frame : what the image is in its stack, for the record.

    Returns
    -------
    The explanation of `finding`, and behind it those of other findings that came for nothing.

    Raises
    ------
    SetupError
        If the engine has no such finding, there is no such method, or it can't explain this engine.
    MissingExtra
        If the method needs a package that isn't installed.
    InvalidBundle
        If the method needs gradients and the engine has no PyTorch twin.
    ExplanationStopped
        If it was cancelled or the time was over.
    """
    wanted, budget = find_method(method), budget or Budget()
    names = engine.bundle.manifest.finding_names
    if finding not in names:
        raise SetupError(f"{engine.bundle.label} has no finding {finding!r}; it has {', '.join(names)}")
    passes = wanted.passes if budget.passes is None else budget.passes
    if wanted.passes and passes < SMALLEST_PASSES:
        raise SetupError(f"{method} needs at least {SMALLEST_PASSES} passes, not {passes}")
    if wanted.key == "occlusion":
        passes = wanted.passes  # one a patch: fewer would leave holes
    started = time.perf_counter()
    output = engine.run(image[None])
    index = names.index(finding)
    found = _found(engine, image, output.evidence[0], index, wanted, passes=passes, seed=seed, budget=budget)
    seconds = time.perf_counter() - started
    parameters: dict[str, int | float | str] = {"passes": found.passes, "cells": found.maps[index].shape[0]}
    digest = input_digest(engine, image, wanted, passes=passes, seed=seed)
    order = [index, *(other for other in sorted(found.maps) if other != index)]
    return tuple(
        Explanation(
            finding=names[k],
            method=wanted,
            values=np.ascontiguousarray(found.maps[k], dtype=np.float32),
            record=record,
            frame=frame,
            logit=float(output.logits[0, k]),
            display_scale=wanted.scale or engine.bundle.manifest.findings[k].display_scale,
            expected_sum=found.sums.get(k),
            passes=found.passes,
            seconds=seconds,
            seed=seed,
            parameters=parameters,
            engine=engine.bundle.label,
            digest=_of_finding(digest, names[k]),
        )
        for k in order
    )


def input_digest(engine: Engine, image: Image, method: Method, *, passes: int, seed: int, finding: str = "") -> str:
    """SHA-256 (hex) over everything that a map depends on: engine bundle, image, method, passes, seed, finding."""
    digest = hashlib.sha256(np.ascontiguousarray(image, dtype="<f4").tobytes())
    words = [engine.bundle.digest, list(image.shape), method.key, method.cells, passes, seed]
    digest.update(json.dumps(words).encode())
    return _of_finding(digest.hexdigest(), finding) if finding else digest.hexdigest()


def _of_finding(digest: str, finding: str) -> str:
    return hashlib.sha256(f"{digest} {finding}".encode()).hexdigest()


def _found(
    engine: Engine, image: Image, evidence: Maps, index: int, method: Method, *, passes: int, seed: int, budget: Budget
) -> _Found:
    manifest = engine.bundle.manifest
    if method.needs == "graph":
        budget.check(method.key, 0, 1)
        maps = evidence if method.key == "grad-cam" else np.stack([_hires(map_, manifest.head) for map_ in evidence])
        biases = [entry.bias for entry in manifest.findings]
        return _Found(maps=dict(enumerate(maps)), sums=_hires_sums(method, evidence, manifest.head, biases), passes=1)
    if method.needs == "forward":
        return _asked(engine, image, method, passes=passes, seed=seed, budget=budget)
    return _by_gradient(engine, image, index, method, passes=passes, seed=seed, budget=budget)


def _asked(engine: Engine, image: Image, method: Method, *, passes: int, seed: int, budget: Budget) -> _Found:
    hidden = Hidden(lambda images: engine.run(images).logits, image, what=method.key, passes=passes + 2, budget=budget)
    sums: dict[int, float] = {}
    if method.key == "occlusion":
        maps = forward.occlusion(hidden, cells=method.cells)
    elif method.key == "rise":
        maps = forward.rise(hidden, cells=method.cells, samples=passes - 1, seed=seed)
    elif method.key == "lime":
        maps = forward.lime(hidden, cells=method.cells, samples=passes - 1, seed=seed)
    else:
        maps = forward.shap(hidden, cells=method.cells, samples=passes - 1, seed=seed)
        ends = hidden.ends()
        sums = dict(enumerate((ends[0] - ends[1]).tolist()))
    budget.check(method.key, hidden.passes, hidden.passes)
    return _Found(maps=dict(enumerate(maps)), sums=sums, passes=hidden.done + 1)


def _by_gradient(
    engine: Engine, image: Image, index: int, method: Method, *, passes: int, seed: int, budget: Budget
) -> _Found:
    twin, torch_methods = _twin(engine)
    grid = engine.bundle.manifest.head.grid
    budget.check(method.key, 0, max(1, passes))
    if method.key in ("grad-cam++", "layer-cam"):
        make = torch_methods.grad_cam_plus_plus if method.key == "grad-cam++" else torch_methods.layer_cam
        return _Found(maps=dict(enumerate(make(twin, image))), sums={}, passes=1)
    if method.key == "integrated-gradients":
        map_, total = torch_methods.integrated_gradients(twin, image, index, grid=grid, steps=passes, budget=budget)
        return _Found(maps={index: map_}, sums={index: total}, passes=passes + 2)
    map_, _ = torch_methods.gradient_shap(twin, image, index, grid=grid, samples=passes, seed=seed, budget=budget)
    return _Found(maps={index: map_}, sums={}, passes=passes + 2)


def _twin(engine: Engine) -> tuple[Twin, Any]:
    try:
        from radiolucent.explain import attribution
    except ModuleNotFoundError as error:
        raise MissingExtra("a method that needs gradients", extra="torch") from error
    return attribution.Twin(load_twin(engine.bundle)), attribution


def _slopes(evidence: Maps, head: HeadSpec) -> NDArray[np.float64]:
    """Derivative of the pool with respect to each cell of one map."""
    if head.pooling == "mean":
        return np.full(evidence.shape, 1 / evidence.size)
    if head.pooling == "log-sum-exp":
        weights = np.exp(float(head.sharpness or 1) * (evidence.astype(np.float64) - float(evidence.max())))
        return np.asarray(weights / weights.sum())
    raise SetupError(f"HiRes-CAM needs a stated pool; this engine's map is of first order ({head.pooling})")


def _hires(evidence: Maps, head: HeadSpec) -> Maps:
    return np.asarray(evidence * _slopes(evidence, head), dtype=np.float32)


def _hires_sums(method: Method, evidence: Maps, head: HeadSpec, biases: list[float]) -> dict[int, float]:
    """Under mean pooling HiRes-CAM's cells are shares of the logit less its bias; under others they claim nothing."""
    if method.key != "hires-cam" or head.pooling != "mean":
        return {}
    return {k: float(map_.mean(dtype=np.float64)) for k, map_ in enumerate(evidence)}
