"""What maps cost on a GPU: a series of 512 slices, six classes, maps at full resolution for the flagged ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bench.sections import Section
from bench.timing import spread

AIM_MS = 34.0
CLASSES, FLAGGED, SLICES, INPUT, FULL, BATCH = 6, (0, 2), 512, 224, 512, 64
_SIZES = {"stem": 16, "widths": [24, 48, 96, 128], "depths": [1, 2, 3, 2], "top": 48, "grid_stride": 4}
TITLE = "On a GPU"


def on_a_gpu(rounds: int = 20) -> Section:
    """Measured where PyTorch has a GPU, else a sentence that it hasn't."""
    import torch

    if not torch.cuda.is_available():
        words = "Not measured: this machine has none that PyTorch can use."
        return Section(title=TITLE, words=words, header=(), rows=(), data={})
    return measure("cuda", rounds=rounds)


def measure(
    device: str, *, rounds: int, slices: int = SLICES, side: int = INPUT, full: int = FULL, batch: int = BATCH
) -> Section:
    """Logits alone, with all maps, and with full-resolution maps of the flagged classes, in interleaved rounds.

    Parameters
    ----------
    device : of PyTorch; ``cpu`` runs the same code, to see that it works.
    side, full : of the network's input and of the source images, in pixels.
    """
    import torch
    from torch.nn import functional

    from radiolucent.engines.network import build_network

    torch.manual_seed(0)
    arguments = {"findings": CLASSES, "pooling": "log-sum-exp", "sharpness": 2.0, **_SIZES}
    network = build_network("evidence-net", arguments).eval().to(device)
    images = torch.randn(slices, 1, side, side, device=device)

    def logits_alone() -> Any:
        return torch.cat([network(part)[0] for part in images.split(batch)]).cpu()

    def both() -> tuple[Any, Any]:
        parts = [network(part) for part in images.split(batch)]
        return torch.cat([one[0] for one in parts]).cpu(), torch.cat([one[1] for one in parts])

    def with_maps() -> Any:
        logits, evidence = both()
        return logits, evidence.cpu()

    def with_full_maps() -> Any:
        logits, evidence = both()
        flagged = evidence[:, list(FLAGGED)].half()
        large = functional.interpolate(flagged, size=(full, full), mode="bilinear", align_corners=False)
        return logits, evidence.cpu(), large

    ways: dict[str, Callable[[], Any]] = {
        "scores alone": logits_alone,
        "and all maps on the network's grid, on the host": with_maps,
        f"and maps of {full} × {full} of {len(FLAGGED)} flagged classes, on the device": with_full_maps,
    }
    taken = _rounds(ways, device, rounds)
    base = taken["scores alone"]
    added = {
        name: spread([own - first for own, first in zip(values, base, strict=True)]) for name, values in taken.items()
    }
    name = torch.cuda.get_device_name() if device == "cuda" else device
    most = list(added.values())[-1].median
    words = (
        f"{name}, {slices} slices of {side} × {side}, {CLASSES} classes, {batch} at a time, float32, {rounds} rounds; "
        f"maps at full resolution in float16. Aim: less than {AIM_MS:.0f} ms added: "
        f"{'met' if most < AIM_MS else 'MISSED'} ({most:.1f})."
    )
    rows = tuple((way, str(spread(taken[way])), str(added[way])) for way in ways)
    return Section(title=TITLE, words=words, header=("way", "ms", "ms added"), rows=rows, data={"added": added})


def _rounds(ways: dict[str, Callable[[], Any]], device: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each way, interleaved, each from an idle device to an idle device."""
    import torch

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for way in ways.values():
            way()
        for _ in range(rounds):
            for name, way in ways.items():
                wait()
                started = time.perf_counter()
                way()
                wait()
                taken[name].append(1000 * (time.perf_counter() - started))
    return taken
