"""Methods that need gradients, on an engine's PyTorch twin: Grad-CAM++, LayerCAM, Integrated Gradients, GradientShap.

Also what the twin alone can show: maps after its weights were made random, layer by layer. Needs the 'torch' extra.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from radiolucent.errors import InvalidBundle, MissingExtra
from radiolucent.explain.methods.perturb import Budget, blurred, to_cells

Maps = NDArray[np.float32]
_STEPS_AT_ONCE = 8


class Twin:
    """A network with logits first, and the layer that its maps are made at; threads may share one.

    Parameters
    ----------
    network : in evaluation mode; gives logits ``(N, K)``, alone or first of several results.
    layer : whose output ``(N, channels, h, w)`` is explained; None takes ``network.features``.

    Raises
    ------
    InvalidBundle
        If the network has no such layer.
    """

    def __init__(self, network: nn.Module, layer: nn.Module | None = None) -> None:
        self.network = network
        self._kept = threading.local()
        target = layer if layer is not None else getattr(network, "features", None)
        if target is None:
            raise InvalidBundle("the network has no layer 'features': name the one to explain")
        target.register_forward_hook(self._keep)

    def logits(self, images: Tensor) -> Tensor:
        """Logits ``(N, K)``."""
        result = self.network(images)
        return torch.as_tensor(result[0] if isinstance(result, tuple) else result)

    def activations(self, image: Maps) -> tuple[Maps, Maps, Maps]:
        """Logits ``(K,)``, activations ``(channels, h, w)`` and their gradients ``(K, channels, h, w)``.

        One pass forward; backward through the head alone, once a finding.
        """
        with torch.enable_grad():
            self._kept.wanted = True
            try:
                logits = self.logits(torch.from_numpy(image[None]))[0]
            finally:
                self._kept.wanted = False
            kept = self._kept.output
            slopes = [torch.autograd.grad(logit, kept, retain_graph=True)[0][0] for logit in logits]
        return logits.detach().numpy(), kept.detach().numpy()[0], torch.stack(slopes).detach().numpy()

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        # one hook for all threads, each with its own place: a shared one would mix their maps up
        if not getattr(self._kept, "wanted", False):
            return None
        self._kept.output = output.detach().requires_grad_()
        return torch.as_tensor(self._kept.output)


def grad_cam(twin: Twin, image: Maps) -> Maps:
    """Grad-CAM of all findings ``(K, h, w)``: mean gradient of each channel times its activation; positive only.

    Source: Selvaraju 2017, arXiv:1610.02391.
    """
    _, kept, slopes = twin.activations(image)
    return np.asarray(np.maximum(np.einsum("kc,chw->khw", slopes.mean(axis=(2, 3)), kept), 0), dtype=np.float32)


def grad_cam_plus_plus(twin: Twin, image: Maps) -> Maps:
    """Grad-CAM++ of all findings, ``(K, h, w)``, positive only.

    The closed form holds for an exponential of the logit, as in the paper. Gradients are taken times the number of
    cells, so that the size doesn't depend on the grid.

    Source: Chattopadhay 2018, arXiv:1710.11063, equations 10 and 19.
    """
    _, kept, slopes = twin.activations(image)
    total = kept.sum(axis=(1, 2))[None, :, None, None]
    below = 2 * slopes**2 + slopes**3 * total
    alpha = np.where(below != 0, slopes**2 / np.where(below != 0, below, 1), 0)
    weights = (alpha * np.maximum(slopes, 0)).sum(axis=(2, 3))
    return np.asarray(np.maximum(np.einsum("kc,chw->khw", weights, kept), 0), dtype=np.float32)


def layer_cam(twin: Twin, image: Maps) -> Maps:
    """LayerCAM of all findings, ``(K, h, w)``: activation times positive gradient, cell by cell.

    Source: Jiang 2021, doi:10.1109/TIP.2021.3089943.
    """
    _, kept, slopes = twin.activations(image)
    return np.asarray(np.maximum(np.einsum("kchw,chw->khw", np.maximum(slopes, 0), kept), 0), dtype=np.float32)


def hires_cam(twin: Twin, image: Maps) -> Maps:
    """HiRes-CAM of all findings, ``(K, h, w)``, signed. Source: Draelos 2020, arXiv:2011.08891."""
    _, kept, slopes = twin.activations(image)
    return np.asarray(np.einsum("kchw,chw->khw", slopes, kept), dtype=np.float32)


def integrated_gradients(
    twin: Twin, image: Maps, finding: int, *, grid: tuple[int, int], steps: int, budget: Budget
) -> tuple[Maps, float]:
    """Integrated Gradients of one finding from the blurred image, summed over cells, by Captum.

    Returns
    -------
    map : float32 ``(h, w)``
    expected : difference of the logits of image and blur, which the cells add up to as `steps` grow.

    Raises
    ------
    MissingExtra
        If Captum isn't installed.
    """
    attr = _captum()
    images, base = torch.from_numpy(image[None]), torch.from_numpy(blurred(image)[None])
    budget.check("integrated-gradients", 0, steps)
    found = attr.IntegratedGradients(twin.logits).attribute(
        images, base, target=finding, n_steps=steps, internal_batch_size=_STEPS_AT_ONCE
    )
    budget.check("integrated-gradients", steps, steps)
    return to_cells(found[0].sum(dim=0).detach().numpy(), grid), _difference(twin, images, base, finding)


def gradient_shap(
    twin: Twin, image: Maps, finding: int, *, grid: tuple[int, int], samples: int, seed: int, budget: Budget
) -> tuple[Maps, float]:
    """GradientShap of one finding from the blurred image, summed over cells, by Captum.

    Captum draws from the process's own random numbers: they are seeded for the call, and put back.

    Returns
    -------
    As `integrated_gradients`; the cells add up to `expected` on average alone.

    Raises
    ------
    MissingExtra
        If Captum isn't installed.
    """
    attr = _captum()
    images, base = torch.from_numpy(image[None]), torch.from_numpy(blurred(image)[None])
    before = np.random.get_state()
    budget.check("gradient-shap", 0, samples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            parts = [
                attr.GradientShap(twin.logits).attribute(
                    images, base, target=finding, n_samples=count, stdevs=0.05 * float(image.std())
                )[0]
                * count
                for count in _counts(samples)
            ]
        finally:
            np.random.set_state(before)
    budget.check("gradient-shap", samples, samples)
    found = torch.stack(parts).sum(dim=0) / samples
    return to_cells(found.sum(dim=0).detach().numpy(), grid), _difference(twin, images, base, finding)


def randomised(network: nn.Module, *, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """The network with ever more of its layers made random, from the last to the first; the weights given are kept.

    Each tensor is shuffled rather than drawn anew: its values keep their distribution, and so do the scales of maps.

    Yields
    ------
    name of the layer that was made random last, and the network.

    Source: Adebayo 2018, arXiv:1810.03292 (cascading randomisation).
    """
    generator = torch.Generator().manual_seed(seed)
    changed = copy.deepcopy(network)
    layers = [
        (name, module)
        for name, module in changed.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    with torch.no_grad():
        for name, module in reversed(layers):
            for parameter in module.parameters(recurse=False):
                flat = parameter.flatten()
                parameter.copy_(flat[torch.randperm(len(flat), generator=generator)].reshape(parameter.shape))
            yield name, changed


def _counts(samples: int) -> list[int]:
    whole, rest = divmod(samples, _STEPS_AT_ONCE)
    return [_STEPS_AT_ONCE] * whole + [rest] * bool(rest)


def _difference(twin: Twin, images: Tensor, base: Tensor, finding: int) -> float:
    with torch.no_grad():
        logits = twin.logits(torch.cat([images, base]))[:, finding]
    return float(logits[0] - logits[1])


def _captum() -> Any:
    try:
        import captum.attr
    except ModuleNotFoundError as error:
        raise MissingExtra("Integrated Gradients and GradientShap", extra="torch") from error
    return captum.attr
