"""What many threads do to one network: maps that are wrong, calls that raise, processes that die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WAYS = ("evidence in the graph, ONNX Runtime", "evidence, torch", "Captum LayerGradCam", "pytorch-grad-cam", "torchcam")
SIZE, BLOCKS, CLASSES = 96, (2, 2, 2, 2), 6


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of `calls` calls from `threads` threads; `died` says how the process ended, if it did."""

    threads: int
    calls: int
    wrong: int
    raised: int
    died: str = ""


def measure(way: str, *, threads: int = 8, calls: int = 12) -> Outcome:
    """Run one way in a process of its own, each thread with its own images and classes."""
    command = [sys.executable, "-m", "bench.threads", way, str(threads), str(calls)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        return Outcome(threads=threads, calls=threads * calls, wrong=0, raised=0, died="did not end in 240 s")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        how = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit {done.returncode}: {last}"
        return Outcome(threads=threads, calls=threads * calls, wrong=0, raised=0, died=how)
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def _prepare(way: str, images: Any) -> Callable[[int, int], NDArray[np.float32]]:
    """A call (index of the image, class) → map, on objects that all threads share."""
    import torch

    from bench import graphs, networks, peers

    torch.set_num_threads(1)
    network = networks.make(BLOCKS, CLASSES)
    if way.endswith("ONNX Runtime"):
        whole = networks.onnx_bytes(networks.EvidenceNet(network), SIZE, ["logits", "evidence"])
        runtime = graphs.session(whole)
        return lambda index, finding: graphs.run(runtime, images[index : index + 1])[1][0, finding]
    tensor = torch.from_numpy(images)
    if way.endswith("torch"):
        evidence_net = networks.EvidenceNet(network)

        def forward(index: int, finding: int) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(evidence_net(tensor[index : index + 1])[1][0, finding].numpy())

        return forward
    peer = peers.make(way, network)
    return lambda index, finding: np.asarray(peer(tensor[index : index + 1], finding)[0])


def run(way: str, threads: int, calls: int) -> Outcome:
    """Make every map once alone, then all of them from `threads` threads at once, and compare."""
    images = np.random.default_rng(0).standard_normal((threads, 1, SIZE, SIZE)).astype(np.float32)
    one = _prepare(way, images)
    alone = {(index, finding): one(index, finding) for index in range(threads) for finding in range(CLASSES)}
    wrong, raised = [0] * threads, [0] * threads
    start = threading.Barrier(threads)

    def work(index: int) -> None:
        start.wait()
        for call in range(calls):
            finding = (index + call) % CLASSES
            expected = alone[index, finding]
            try:
                got = one(index, finding)
            except Exception:  # the count of whatever the peer raises is the measurement  # noqa: BLE001
                raised[index] += 1
                continue
            same = got.shape == expected.shape and np.abs(got - expected).max() <= 1e-3 * np.abs(expected).max()
            wrong[index] += not same

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return Outcome(threads=threads, calls=threads * calls, wrong=sum(wrong), raised=sum(raised))


if __name__ == "__main__":
    print(json.dumps(asdict(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
