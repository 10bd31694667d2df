"""The training loop: from a pack to weights, the same weights for the same seed, whether or not it was interrupted.

Needs only numpy and torch; runs on the CPU (bfloat16 where the processor has it) and on CUDA without change.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from radiolucent.engines.network import EvidenceNet, LevelNorm
from radiolucent.errors import SetupError
from radiolucent.training.augment import centre
from radiolucent.training.draw import cover_of, draw_rows
from radiolucent.training.losses import image_loss, total_loss
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import Crops, EngineRecipe
from radiolucent.training.refit import refit_trait

CHECKPOINT = "checkpoint.pt"
# how the `source` of a synthetic row begins
SYNTHETIC = "synthetic-"
# of images in one forward pass without gradients: more costs memory and gains no time
_PIXELS_AT_ONCE = 1 << 20
# batches on which the levels of norms are measured
_SETTLING = 24


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a fit stands; `metrics` is filled at the end of an epoch.

    Parameters
    ----------
    epoch : from 1.
    step, steps : batches done and in all, over the whole fit.
    seconds_left : estimate from the pace so far in this run.
    metrics : ``loss``, and on the validation rows ``accuracy``, ``hit_rate``, ``cell_dice``.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds_left: float
    metrics: dict[str, float] = field(default_factory=dict)


Report = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Averaged weights and how they came about."""

    network: EvidenceNet
    history: list[dict[str, float]]
    epochs: int
    seed: int


def fit(
    pack: Pack,
    recipe: EngineRecipe,
    folder: Path,
    *,
    epochs: int | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str | None = None,
    report: Report | None = None,
    stop_after: int | None = None,
) -> Fitted:
    """Train on the pack's ``train`` rows; measure on its ``val`` rows after each epoch.

    Parameters
    ----------
    folder : checkpoints and ``history.json`` go here, one checkpoint after each epoch.
    epochs : in all; None takes the recipe's. The learning rate follows a cosine over all of them.
    resume : go on from the checkpoint in `folder`, made with the same seed and recipe. With another number of `epochs`
        the learning rate follows the longer (or shorter) cosine from here on; rows may have been added to the pack.
    device : a torch device; None takes CUDA where there is one.
    stop_after : end after this epoch as if interrupted; None runs to the end.

    Returns
    -------
    The exponential moving average of the weights after the last epoch.

    Raises
    ------
    SetupError
        If the pack was made for other findings, has no training rows, or there is nothing to resume from.
    """
    if pack.findings != recipe.findings:
        raise SetupError(
            f"the pack holds {', '.join(pack.findings)}; {recipe.engine} wants {', '.join(recipe.findings)}"
        )
    if not (pack.split == "train").any():
        raise SetupError("the pack has no row whose split is 'train'")
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    state = _State(pack, recipe, epochs or recipe.epochs, seed, where)
    folder.mkdir(parents=True, exist_ok=True)
    if resume:
        state.load(folder / CHECKPOINT)
    started, first = time.monotonic(), state.epoch
    for epoch in range(state.epoch, min(state.epochs, stop_after or state.epochs)):

        def tell(done: int, epoch: int = epoch, metrics: dict[str, float] | None = None) -> None:
            step = epoch * state.batches + done
            pace = (time.monotonic() - started) / max(1, step - first * state.batches)
            left = pace * (state.steps - step)
            if report is not None:
                report(
                    Progress(
                        epoch=epoch + 1,
                        epochs=state.epochs,
                        step=step,
                        steps=state.steps,
                        seconds_left=left,
                        metrics=metrics or {},
                    )
                )

        metrics = state.run_epoch(epoch, tell)
        state.save(folder / CHECKPOINT)
        (folder / "history.json").write_text(json.dumps(state.history, indent=1), encoding="utf-8")
        tell(state.batches, metrics=metrics)
    return Fitted(network=state.average.cpu().eval(), history=state.history, epochs=state.epoch, seed=seed)


def predict(
    network: nn.Module, pack: Pack, size: int, batch: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits ``(N, K)`` and evidence ``(N, K, h, w)`` of every row, float32, nothing varied; `batch` rows at a time."""
    batch = batch or max(1, min(32, _PIXELS_AT_ONCE // size**2))
    device = next(network.parameters()).device
    logits, evidence = [], []
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(pack), batch):
            images = torch.from_numpy(pack.images[start : start + batch]).to(device).float() * pack.step + pack.offset
            scores, maps = network(centre(images, size))
            logits.append(scores.cpu().numpy())
            evidence.append(maps.cpu().numpy())
    return np.concatenate(logits), np.concatenate(evidence)


def cell_cover(pack: Pack, size: int, grid: int) -> NDArray[np.float32]:
    """Share of each cell inside the outlines, float32 ``(N, K, h, w)``, for unvaried images."""
    planes = centre(cover_of(torch.from_numpy(pack.outlines), len(pack.findings)), size)
    return np.asarray(functional.adaptive_avg_pool2d(planes, grid).numpy(), dtype=np.float32)


def measure(network: nn.Module, pack: Pack, size: int, *, exclusive: bool = True) -> dict[str, float]:
    """Quick figures at grid resolution, for choosing between epochs; `evaluate` gives those that are quoted."""
    logits, evidence = predict(network, pack, size)
    if not exclusive:
        return _measure_each(logits, evidence, pack, size)
    known = np.isfinite(pack.labels).all(axis=1) & (np.nansum(pack.labels, axis=1) > 0)
    truth = np.where(known[:, None], pack.labels, 0).argmax(axis=1)
    rows = np.flatnonzero(known)
    accuracy = float((logits.argmax(axis=1) == truth)[known].mean()) if len(rows) else float("nan")
    cover = cell_cover(pack, size, evidence.shape[-1])
    drawn = [row for row in rows if pack.outlined[row] and cover[row, truth[row]].max() > 0.5]
    hits = [cover[row, truth[row]].flat[evidence[row, truth[row]].argmax()] > 0.5 for row in drawn]
    overlap = [_dice(evidence[row, truth[row]] > 0, cover[row, truth[row]] > 0.5) for row in drawn]
    return {
        "accuracy": accuracy,
        "hit_rate": float(np.mean(hits)) if hits else float("nan"),
        "cell_dice": float(np.mean(overlap)) if overlap else float("nan"),
    }


def _measure_each(
    logits: NDArray[np.float32], evidence: NDArray[np.float32], pack: Pack, size: int
) -> dict[str, float]:
    """Mean and single AUROC, and how often the map of an outlined finding peaks inside it."""
    areas: dict[str, float] = {}
    hits: list[bool] = []
    cover = cell_cover(pack, size, evidence.shape[-1])
    for k, name in enumerate(pack.findings):
        positive, negative = pack.labels[:, k] > 0.5, pack.labels[:, k] < 0.5
        if positive.any() and negative.any():
            pairs = logits[positive, k][:, None] - logits[negative, k][None, :]
            areas[name] = float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
        drawn = np.flatnonzero(positive & pack.outlined & (cover[:, k].max(axis=(1, 2)) > 0))
        hits += [bool(cover[row, k].flat[evidence[row, k].argmax()] > 0) for row in drawn]
    return {
        "auroc": float(np.mean(list(areas.values()))) if areas else float("nan"),
        "hit_rate": float(np.mean(hits)) if hits else float("nan"),
        **{f"auroc {name}": area for name, area in areas.items()},
    }


class _State:
    """Network, average, optimiser and data of one fit: all that a checkpoint must bring back."""

    def __init__(self, pack: Pack, recipe: EngineRecipe, epochs: int, seed: int, device: torch.device) -> None:
        self.recipe, self.epochs, self.seed, self.device = recipe, epochs, seed, device
        self.train = pack.rows(pack.split == "train")
        self.validation = pack.rows(pack.split == "val")
        torch.manual_seed(seed)
        network = EvidenceNet(findings=len(recipe.findings), channels=recipe.channels, **recipe.network)
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
        )
        self.epoch, self.history = 0, []  # type: tuple[int, list[dict[str, float]]]
        self.batches = max(1, len(self.train) // recipe.batch)
        self.steps = self.batches * epochs
        self.weights = _row_weights(self.train, recipe)

    def run_epoch(self, epoch: int, tell: Callable[[int], None]) -> dict[str, float]:
        # every epoch has its own generator, so that a resumed fit draws what an uninterrupted one would
        random = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        crops = self._crops(epoch)
        batch = self.recipe.batch if crops or not self.recipe.crops else self.recipe.crops.batch
        size = min(batch, len(self.train))
        order = torch.multinomial(self.weights, self.batches * size, replacement=True, generator=random)
        if self.recipe.balance == 0:
            order = torch.randperm(len(self.train), generator=random)[: self.batches * size]
        self.network.train()
        losses = []
        for step in range(self.batches):
            rows = order[step * size : (step + 1) * size]
            losses.append(self._step(rows, epoch * self.batches + step, random, crops))
            tell(step + 1)
        self.epoch = epoch + 1
        metrics = {"loss": float(np.mean(losses))}
        last = self.epoch == self.epochs
        if last or self.epoch % self.recipe.measure_every == 0:
            self._settle(order, random, size, crops)
        for trait in self.recipe.shown if last else ():
            refit_trait(self.average, self.train, self.recipe, trait)
        if len(self.validation) and (last or self.epoch % self.recipe.measure_every == 0):
            metrics |= measure(self.average, self.validation, self.recipe.size, exclusive=self.recipe.exclusive)
        self.history.append({"epoch": float(self.epoch), **metrics})
        return metrics

    def _crops(self, epoch: int) -> Crops | None:
        """How windows are laid in this epoch; None where it sees whole images."""
        crops = self.recipe.crops
        return crops if crops and epoch < round((1 - crops.whole) * self.epochs) else None

    def _settle(self, order: Tensor, random: torch.Generator, size: int, crops: Crops | None) -> None:
        """Measure the levels of the averaged network's norms on images that are not varied."""
        norms = [module for module in self.average.modules() if isinstance(module, LevelNorm)]
        if not norms:
            return
        for norm in norms:
            norm.forget()
        self.average.train()
        for start in range(0, min(_SETTLING, len(order) // size) * size, size):
            rows = order[start : start + size]
            drawn = draw_rows(self.train, rows, self.recipe, crops=crops, random=random, device=self.device, still=True)
            with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
                self.average(drawn.images.contiguous(memory_format=torch.channels_last))
        self.average.eval()

    def _step(self, rows: Tensor, step: int, random: torch.Generator, crops: Crops | None) -> float:
        recipe, device = self.recipe, self.device
        drawn = draw_rows(self.train, rows, recipe, crops=crops, random=random, device=device)
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, self.steps, recipe.warm_up_epochs * self.batches)
        images = drawn.images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            logits, evidence, described = self.network.describe(images)
        loss = total_loss(
            logits,
            evidence,
            labels=drawn.labels,
            cover=functional.adaptive_avg_pool2d(drawn.cover, evidence.shape[-2:]),
            outlined=drawn.outlined,
            weights=recipe.loss,
            exclusive=recipe.exclusive,
            doubtful=drawn.doubtful,
        )
        if described.shape[1]:
            loss = loss + recipe.loss.traits * image_loss(described, drawn.traits, exclusive=False)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimiser.step()
        decay = min(recipe.average_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        stored = {
            "engine": self.recipe.engine,
            "seed": self.seed,
            "epochs": self.epochs,
            "epoch": self.epoch,
            "history": self.history,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "recipe": json.dumps(asdict(self.recipe), sort_keys=True),
        }
        partial = path.with_suffix(".partial")
        torch.save(stored, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        stored = load_checkpoint(path)
        wanted = {"engine": self.recipe.engine, "seed": self.seed}
        wanted["recipe"] = json.dumps(asdict(self.recipe), sort_keys=True)
        different = [name for name, value in wanted.items() if stored[name] != value]
        if different:
            raise SetupError(f"{path} was made with another {', '.join(different)}: resume with the same")
        self.network.load_state_dict(stored["network"])
        self.average.load_state_dict(stored["average"])
        self.optimiser.load_state_dict(stored["optimiser"])
        self.epoch, self.history = stored["epoch"], stored["history"]


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `fit` stored after its last whole epoch.

    Raises
    ------
    SetupError
        If there is no such file.
    """
    if not path.is_file():
        raise SetupError(f"{path} is missing: nothing to resume from; start without --resume")
    stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return stored


def _row_weights(pack: Pack, recipe: EngineRecipe) -> Tensor:
    """How often each row is drawn: shares for synthetic rows and for folders first, rare findings more often in each.

    Where a share for synthetic rows is given, the others' weights don't depend on them.
    """
    weights = np.zeros(len(pack))
    for chosen, share in _parts(pack, recipe):
        part = _rare_first(pack.rows(chosen), recipe.balance)
        weights[chosen] = part / part.sum() * share
    return torch.from_numpy(weights)


def _parts(pack: Pack, recipe: EngineRecipe) -> list[tuple[NDArray[np.bool_], float]]:
    """Rows that share one part of the draws, and that part."""
    synthetic = np.char.startswith(pack.source, SYNTHETIC)
    mixed = recipe.synthetic_share is not None and bool(synthetic.any()) and not bool(synthetic.all())
    real = ~synthetic if mixed else np.ones(len(pack), dtype=np.bool_)
    left = 1.0 - float(recipe.synthetic_share or 0) * mixed
    folders = np.array([source.rpartition("/")[0] for source in pack.source]) if recipe.even_folders else None
    names = [""] if folders is None else sorted(set(folders[real]))
    parts = [(real if folders is None else real & (folders == name), left / len(names)) for name in names]
    return [*parts, (synthetic, 1.0 - left)] if mixed else parts


def _rare_first(pack: Pack, balance: float) -> NDArray[np.float64]:
    """Weight = (1 / frequency of the row's rarest finding) ** balance."""
    positive = np.nan_to_num(pack.labels) > 0
    frequency = np.maximum(positive.mean(axis=0), 1.0 / max(1, len(pack)))
    negative = max(float((~positive.any(axis=1)).mean()), 1.0 / max(1, len(pack)))
    rarest = np.where(positive, frequency, np.inf).min(axis=1)
    rarest = np.where(np.isfinite(rarest), rarest, negative)
    return np.asarray((1.0 / rarest) ** balance, dtype=np.float64)


def _schedule(step: int, steps: int, warm_up: float) -> float:
    if step < warm_up:
        return (step + 1) / max(1.0, warm_up)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1.0, steps - warm_up)))


def _dice(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    total = int(found.sum() + wanted.sum())
    return 2.0 * float((found & wanted).sum()) / total if total else 1.0
