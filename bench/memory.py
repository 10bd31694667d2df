"""How much memory one way needs: its peak above the loaded network, measured in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

PEER_CLASSES = 3  # they go class by class, so that more of them take longer but need no more
WAYS = (
    "plain, ONNX Runtime",
    "evidence in the graph, ONNX Runtime",
    "plain, torch",
    "evidence, torch",
    "Captum LayerGradCam",
    "pytorch-grad-cam",
    "torchcam",
)
READING = "this engine as it reads, ONNX Runtime"


def measure(way: str, *, batch: int, size: int, engine: str = "") -> float | str:
    """Peak in MiB of the maps of one batch: all classes at once, or `PEER_CLASSES` in turn; or why there is none.

    Parameters
    ----------
    engine : an installed one, and its own weights; empty takes a network like DenseNet-121.
    """
    command = [sys.executable, "-W", "ignore", "-m", "bench.memory", way, str(batch), str(size), engine]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        return f"failed: {(done.stderr.strip().splitlines() or ['exit ' + str(done.returncode)])[-1]}"
    return float(json.loads(done.stdout.splitlines()[-1]))


def _resident(what: str) -> float:
    """``VmHWM`` (peak) or ``VmRSS`` (now) of this process in MiB. Source: proc(5)."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _prepare(way: str, size: int, images: Any, engine: str) -> Callable[[], object]:
    import torch

    from bench import graphs, networks, peers

    torch.set_num_threads(1)
    if engine:
        return _prepare_engine(way, images, engine)
    network = networks.make()
    if way.endswith("ONNX Runtime"):
        whole = not way.startswith("plain")
        exported: Any = networks.EvidenceNet(network) if whole else network
        runtime = graphs.session(networks.onnx_bytes(exported, size, ["logits", "evidence"] if whole else ["logits"]))
        return lambda: graphs.run(runtime, images)
    tensor = torch.from_numpy(images)
    if way.endswith("torch"):
        wanted: Any = network if way.startswith("plain") else networks.EvidenceNet(network)

        def forward() -> object:
            with torch.inference_mode():
                return wanted(tensor)

        return forward
    peer = peers.make(way, network)
    return lambda: [peer(tensor, finding) for finding in range(PEER_CLASSES)]


def _prepare_engine(way: str, images: Any, name: str) -> Callable[[], object]:
    import torch

    from bench import graphs, networks, peers
    from radiolucent.engines.registry import find_bundle, installed_bundles
    from radiolucent.engines.runtime import load_engine, load_twin

    bundle = find_bundle(name, installed_bundles())
    if way == READING:
        engine = load_engine(bundle, threads=1)
        return lambda: engine.run(images)
    if way.endswith("ONNX Runtime"):
        graph = bundle.read("graph.onnx")
        runtime = graphs.session(graphs.without_output(graph, "evidence") if way.startswith("plain") else graph)
        return lambda: graphs.run(runtime, images)
    twin, tensor = load_twin(bundle), torch.from_numpy(images)
    if way.endswith("torch"):

        def forward() -> object:
            with torch.inference_mode():
                return twin(tensor)

        return forward
    peer = peers.make(way, networks.LogitsAlone(twin))
    return lambda: [peer(tensor, finding) for finding in range(min(PEER_CLASSES, len(bundle.manifest.findings)))]


def main(way: str, batch: int, size: int, engine: str = "") -> None:
    """Load the network, note the memory, run, print the rise of the peak."""
    images = np.random.default_rng(0).standard_normal((batch, 1, size, size)).astype(np.float32)
    once = _prepare(way, size, images, engine)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading. Source: proc(5)
    before = _resident("VmRSS")
    once()
    print(json.dumps(_resident("VmHWM") - before))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
