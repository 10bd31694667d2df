"""How an engine runs: ONNX Runtime by default, its PyTorch twin where that is installed, one protocol for both."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from radiolucent.engines.bundle import Bundle
from radiolucent.engines.manifest import Manifest
from radiolucent.engines.pooling import recompute
from radiolucent.engines.volumes import to_slices, to_volume
from radiolucent.errors import EngineError, IncompleteEvidence, InvalidBundle, MissingExtra
from radiolucent.findings.taxonomy import finding_type

if TYPE_CHECKING:
    import torch

Backend = Literal["onnx", "torch"]
Batch = NDArray[np.float32]
Outputs = tuple[NDArray[np.float32], ...]

LARGEST_BATCH = 8  # images in one pass: bounds the memory of a long series
TWIN_TOLERANCE = 1e-4  # largest difference between graph and twin, logit units


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineOutput:
    """What one pass gave.

    Parameters
    ----------
    logits : float32 ``(N, K)``
    evidence : float32 ``(N, K, h, w)``, logit units, signed, on the network's own grid.
    milliseconds : wall time of the whole run.
    sites : float32 ``(N, S)``, how likely each of the manifest's sites is; None where it has none.
    """

    logits: NDArray[np.float32]
    evidence: NDArray[np.float32]
    milliseconds: float
    sites: NDArray[np.float32] | None = None


class Engine(Protocol):
    """A network ready to read; safe to call from any number of threads."""

    @property
    def bundle(self) -> Bundle:
        """Where it came from."""

    def run(self, batch: Batch) -> EngineOutput:
        """Read images, float32 ``(N, C, H, W)`` as the manifest's input says.

        Raises
        ------
        EngineError
            If the batch has another shape or type, or a value in or out isn't a finite number.
        """


class OnnxEngine:
    """A bundle's graph in ONNX Runtime, on CUDA where its build and the machine have it, else on the CPU.

    Parameters
    ----------
    bundle : loaded and checked.
    threads : threads inside one operator. They sleep when idle, so several engines can share the cores.
    largest_batch : images in one pass; a longer run is cut into such parts.

    Raises
    ------
    InvalidBundle
        If the graph can't be loaded, or its inputs and outputs aren't the contract's.
    DigestMismatch
        If the graph changed since the bundle was loaded.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1, largest_batch: int = LARGEST_BATCH) -> None:
        self.bundle = bundle
        self._largest_batch = largest_batch
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        offered = onnxruntime.get_available_providers()
        providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in offered]
        graph = bundle.read("graph.onnx")
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=providers)
        except Exception as error:  # ONNX Runtime's errors share no other base class
            raise InvalidBundle(f"{bundle.label}: ONNX Runtime can't load graph.onnx: {error}") from error
        self._input = _graph_input(self._session, bundle.manifest)

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers in use, first choice first."""
        return tuple(self._session.get_providers())

    def run(self, batch: Batch) -> EngineOutput:
        """See `Engine.run`."""
        depth = self.bundle.manifest.input.depth
        return _run(self.bundle, batch, len(batch) if depth else self._largest_batch, self._part)

    def _part(self, batch: Batch) -> Outputs:
        depth = self.bundle.manifest.input.depth
        if depth:
            logits, evidence = self._session.run(["logits", "evidence"], {self._input: to_volume(batch, depth)})
            return to_slices(logits, evidence, len(batch), self.bundle.manifest)
        return tuple(self._session.run(_output_names(self.bundle.manifest), {self._input: batch}))


class TorchEngine:
    """The bundle's PyTorch twin, with the weights that the graph holds; on CUDA where there is one.

    The number of threads is torch's own setting, which belongs to the whole process and is left alone.

    Raises
    ------
    MissingExtra
        If torch or onnx isn't installed.
    InvalidBundle
        If the manifest names no twin, or the graph's weights don't fit it.
    """

    def __init__(self, bundle: Bundle, *, largest_batch: int = LARGEST_BATCH) -> None:
        self.bundle = bundle
        self._largest_batch = largest_batch
        self.network = load_twin(bundle)
        import torch

        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network.to(self._device)

    def run(self, batch: Batch) -> EngineOutput:
        """See `Engine.run`."""
        return _run(self.bundle, batch, self._largest_batch, self._part)

    def _part(self, batch: Batch) -> Outputs:
        import torch

        with torch.inference_mode():
            found = self.network(torch.from_numpy(batch).to(self._device))
            return tuple(one.float().cpu().numpy() for one in found)


def load_engine(bundle: Bundle, backend: Backend = "onnx", threads: int | None = None) -> Engine:
    """Make a bundle ready to read.

    Parameters
    ----------
    bundle : loaded and checked.
    backend : ``onnx`` or ``torch``.
    threads : inside one operator (``onnx`` alone); None takes `threads_per_worker`.

    Raises
    ------
    InvalidBundle
        If the graph or the twin isn't what the manifest says.
    MissingExtra
        If the backend isn't installed.
    """
    if backend == "torch":
        return TorchEngine(bundle)
    return OnnxEngine(bundle, threads=threads or threads_per_worker())


def threads_per_worker(workers: int = 1) -> int:
    """Cores that this process may use, shared out among `workers`; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


def load_twin(bundle: Bundle) -> torch.nn.Module:
    """The network that the manifest names, in evaluation mode on the CPU, with the graph's weights.

    Raises
    ------
    MissingExtra
        If torch or onnx isn't installed.
    InvalidBundle
        If the manifest names no twin, or a weight is missing from the graph or has another shape.
    """
    try:
        import onnx
        import onnx.numpy_helper
        import torch

        from radiolucent.engines.network import build_network
    except ModuleNotFoundError as error:
        raise MissingExtra("the PyTorch backend", extra="torch") from error
    twin = bundle.manifest.twin
    if twin is None:
        raise InvalidBundle(f"{bundle.label}: the manifest names no twin; use the onnx backend")
    network = build_network(twin.network, dict(twin.arguments))
    graph = onnx.load_model_from_string(bundle.read("graph.onnx")).graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    weights = {}
    for name, value in network.state_dict().items():
        tensor = held.get(name)
        if tensor is None or tuple(tensor.dims) != tuple(value.shape):
            raise InvalidBundle(
                f"{bundle.label}: graph.onnx holds no {name} of shape {tuple(value.shape)} for the twin"
            )
        # wide weights may be stored in half precision: the graph widens them as well
        weights[name] = torch.from_numpy(onnx.numpy_helper.to_array(tensor).astype(value.numpy().dtype))
    network.load_state_dict(weights)
    return network.eval()


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What `verify` measured on a bundle that passed.

    Parameters
    ----------
    engine : ``name@version``.
    digest : of the bundle, hex.
    largest_difference : between logits and pooled maps, logit units; 0 for a map of first order, which claims none.
    twin_difference : between graph and PyTorch twin; None where there is no twin or torch isn't installed.
    """

    engine: str
    digest: str
    largest_difference: float
    twin_difference: float | None


def verify(bundle: Bundle) -> Verification:
    """Run a bundle once on seeded noise and check that it does what its manifest says.

    Raises
    ------
    InvalidBundle
        If a finding is not in the taxonomy, the graph's outputs have other names or shapes, or graph and twin differ.
    IncompleteEvidence
        If the maps don't add up to the logits within the manifest's tolerance.
    EngineError
        If the graph fails or gives a value that isn't finite.
    """
    for name in bundle.manifest.finding_names:
        finding_type(name)
    spec = bundle.manifest.input
    noise = np.random.default_rng(0).random((2, spec.channels, spec.height, spec.width), dtype=np.float32)
    output = OnnxEngine(bundle).run(noise)
    difference = 0.0
    if bundle.manifest.head.pooling != "gradient":
        biases = [finding.bias for finding in bundle.manifest.findings]
        difference = float(np.abs(recompute(output.evidence, bundle.manifest.head, biases) - output.logits).max())
    if difference > bundle.manifest.head.tolerance:
        raise IncompleteEvidence(f"{bundle.label}: the maps miss the logits by {difference:.2g}; don't use this engine")
    twin_difference = _twin_difference(bundle, noise, output)
    if twin_difference is not None and twin_difference > TWIN_TOLERANCE:
        raise InvalidBundle(f"{bundle.label}: graph and PyTorch twin differ by {twin_difference:.2g}")
    return Verification(
        engine=bundle.label,
        digest=bundle.digest,
        largest_difference=difference,
        twin_difference=twin_difference,
    )


def _twin_difference(bundle: Bundle, batch: Batch, output: EngineOutput) -> float | None:
    if bundle.manifest.twin is None:
        return None
    try:
        twin = TorchEngine(bundle).run(batch)
    except MissingExtra:
        return None
    pairs = [(twin.logits, output.logits), (twin.evidence, output.evidence)]
    if twin.sites is not None and output.sites is not None:
        pairs.append((twin.sites, output.sites))
    return float(max(np.abs(one - other).max() for one, other in pairs))


def _output_names(manifest: Manifest) -> list[str]:
    return ["logits", "evidence", *(["sites"] if manifest.sites else [])]


def _graph_input(session: Any, manifest: Manifest) -> str:
    inputs, outputs = session.get_inputs(), {output.name: output for output in session.get_outputs()}
    axes = "(N, C, D, H, W)" if manifest.input.depth else "(N, C, H, W)"
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != axes.count(",") + 1:
        raise InvalidBundle(f"{manifest.label}: graph.onnx must have one input, float32 {axes}")
    if isinstance(inputs[0].shape[0], int):
        raise InvalidBundle(f"{manifest.label}: graph.onnx fixes its batch size; export it with a free first axis")
    for name in _output_names(manifest):
        if name not in outputs or outputs[name].type != "tensor(float)":
            raise InvalidBundle(f"{manifest.label}: graph.onnx has no float32 output {name!r}; it has {list(outputs)}")
    return str(inputs[0].name)


def _run(bundle: Bundle, batch: Batch, largest: int, part: Any) -> EngineOutput:
    _check_batch(batch, bundle.manifest)
    start = time.perf_counter()
    parts = []
    for first in range(0, len(batch), largest):
        try:
            parts.append(part(np.ascontiguousarray(batch[first : first + largest])))
        except Exception as error:  # the runtimes' errors share no other base class
            raise EngineError(f"{bundle.label}: the network failed: {error}") from error
    logits, evidence, *further = [np.concatenate(each) for each in zip(*parts, strict=True)]
    milliseconds = (time.perf_counter() - start) * 1000
    _check_outputs(logits, evidence, len(batch), bundle.manifest)
    sites = further[0] if further else None
    _check_sites(sites, len(batch), bundle.manifest)
    return EngineOutput(logits=logits, evidence=evidence, milliseconds=milliseconds, sites=sites)


def _check_batch(batch: Batch, manifest: Manifest) -> None:
    expected = (manifest.input.channels, manifest.input.height, manifest.input.width)
    if batch.dtype != np.float32 or batch.ndim != 4 or batch.shape[1:] != expected or len(batch) == 0:
        raise EngineError(
            f"{manifest.label} reads float32 (N, {', '.join(map(str, expected))}), not {batch.dtype} {batch.shape}"
        )
    if not np.isfinite(batch).all():
        raise EngineError(f"{manifest.label}: the images hold values that are not finite numbers")


def _check_outputs(logits: NDArray[Any], evidence: NDArray[Any], images: int, manifest: Manifest) -> None:
    classes = len(manifest.findings)
    if logits.shape != (images, classes) or evidence.shape != (images, classes, *manifest.head.grid):
        raise InvalidBundle(
            f"{manifest.label}: the manifest says {classes} findings on a grid of {manifest.head.grid}, "
            f"the graph gave logits {logits.shape} and evidence {evidence.shape}"
        )
    if not (np.isfinite(logits).all() and np.isfinite(evidence).all()):
        raise EngineError(f"{manifest.label}: the network gave values that are not finite numbers")


def _check_sites(sites: NDArray[Any] | None, images: int, manifest: Manifest) -> None:
    if (0 if sites is None else sites.size) != images * len(manifest.sites):
        told = "none" if sites is None else sites.shape
        raise InvalidBundle(f"{manifest.label}: the manifest says {len(manifest.sites)} sites, the network gave {told}")
    if sites is not None and not (np.isfinite(sites).all() and np.allclose(sites.sum(axis=1), 1, atol=1e-3)):
        raise EngineError(f"{manifest.label}: the shares of the sites don't add up to 1")
