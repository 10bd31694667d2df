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
from torch import Tensor, nn
from torch.nn import functional

from radiolucent.engines import lite
from radiolucent.engines.features import LevelNorm
from radiolucent.engines.network import EvidenceNet
from radiolucent.errors import SetupError
from radiolucent.training.draw import draw_rows
from radiolucent.training.losses import image_loss, total_loss
from radiolucent.training.measuring import measure, score
from radiolucent.training.pack import Pack
from radiolucent.training.photographs import learn_from_photographs
from radiolucent.training.pretrain import start_from
from radiolucent.training.recipe import Crops, EngineRecipe
from radiolucent.training.refit import refit_trait
from radiolucent.training.sampling import log_odds, row_weights

CHECKPOINT = "checkpoint.pt"
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
    patience: int | None = None,
    features: Path | None = None,
    photographs: Path | None = None,
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
    patience : end once so many looks at the validation rows in a row brought no better `score`; None never ends early.
    features : begin with the features that `training.pretrain` left in this file, not with random ones.
    photographs : file of the weights that `training.photographs` begins with; None takes the installed package's.

    Returns
    -------
    The exponential moving average of the weights after the last epoch; with `patience`, after the best one.

    Raises
    ------
    SetupError
        If the pack was made for other findings, has no training rows, or there is nothing to resume or start from.
    """
    if pack.findings != recipe.findings:
        raise SetupError(
            f"the pack holds {', '.join(pack.findings)}; {recipe.engine} wants {', '.join(recipe.findings)}"
        )
    if not (pack.split == "train").any():
        raise SetupError("the pack has no row whose split is 'train'")
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    state = _State(pack, recipe, epochs or recipe.epochs, seed, where)
    if not resume:
        state.begin(features, photographs)
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
        state.keep_best(metrics)
        state.save(folder / CHECKPOINT)
        (folder / "history.json").write_text(json.dumps(state.history, indent=1), encoding="utf-8")
        tell(state.batches, metrics=metrics)
        if patience is not None and state.looks_since_best >= patience:
            break
    if patience is not None:
        state.take_best()
    return Fitted(network=state.average.cpu().eval(), history=state.history, epochs=state.epoch, seed=seed)


class _State:
    """Network, average, optimiser and data of one fit: all that a checkpoint must bring back."""

    def __init__(
        self,
        pack: Pack,
        recipe: EngineRecipe,
        epochs: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.recipe, self.epochs, self.seed, self.device = recipe, epochs, seed, device
        self.train = pack.rows(pack.split == "train")
        self.validation = pack.rows(pack.split == "val")
        self.begun = recipe.network.get("backbone") == lite.NAME
        torch.manual_seed(seed)
        network = EvidenceNet(findings=len(recipe.findings), channels=recipe.channels, **recipe.network)
        self.weights = row_weights(self.train, recipe)
        if recipe.base_rates:
            network.bias.copy_(torch.from_numpy(log_odds(self.train, self.weights.numpy())))
            nn.init.normal_(network.evidence.weight, std=0.05)
        if self.begun:
            network.features.get_submodule("stem").requires_grad_(False)
            network.features.get_submodule("stages.0").requires_grad_(False)
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self._groups(), lr=recipe.learning_rate)
        self.epoch, self.history = 0, []  # type: tuple[int, list[dict[str, float]]]
        self.best: dict[str, Any] = {"score": -math.inf, "epoch": 0, "weights": None}
        self.looks_since_best = 0
        self.batches = max(1, len(self.train) // recipe.batch)
        self.steps = self.batches * epochs

    def begin(self, features: Path | None, photographs: Path | None) -> None:
        """Replace random weights by a pretraining's, or by those from photographs where the recipe asks for them."""
        for network in (self.network, self.average):
            if features is not None:
                start_from(network, self.recipe, features)
            elif self.begun:
                step, offset = self.train.step, self.train.offset
                learn_from_photographs(network.features, step=step, offset=offset, file=photographs)

    def _groups(self) -> list[dict[str, Any]]:
        """What learns, by weight decay and by its share of the learning rate."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, part in self.network.named_parameters():
            inside = self.begun and name.startswith(("features.stem.", "features.stages."))
            key = (self.recipe.weight_decay if part.ndim > 1 else 0.0, self.recipe.photographs if inside else 1.0)
            groups.setdefault(key, []).append(part)
        return [{"params": parts, "weight_decay": decay, "share": share} for (decay, share), parts in groups.items()]

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
            self._settle(order, random, size)
        for trait in self.recipe.shown if last else ():
            refit_trait(self.average, self.train, self.recipe, trait)
        if len(self.validation) and (last or self.epoch % self.recipe.measure_every == 0):
            metrics |= measure(self.average, self.validation, self.recipe.size, exclusive=self.recipe.exclusive)
        self.history.append({"epoch": float(self.epoch), **metrics})
        return metrics

    def keep_best(self, metrics: dict[str, float]) -> None:
        """Remember the averaged weights if these figures of them are the best so far."""
        value = score(metrics)
        if value > self.best["score"]:
            weights = {name: tensor.detach().cpu().clone() for name, tensor in self.average.state_dict().items()}
            self.best = {"score": value, "epoch": self.epoch, "weights": weights}
            self.looks_since_best = 0
        elif math.isfinite(value):
            self.looks_since_best += 1

    def take_best(self) -> None:
        """Go back to the best averaged weights, if any look was taken."""
        if self.best["weights"] is not None:
            self.average.load_state_dict(self.best["weights"])
            self.epoch = int(self.best["epoch"])

    def _crops(self, epoch: int) -> Crops | None:
        """How windows are laid in this epoch; None where it sees whole images."""
        crops = self.recipe.crops
        return crops if crops and epoch < round((1 - crops.whole) * self.epochs) else None

    def _settle(self, order: Tensor, random: torch.Generator, size: int) -> None:
        """Measure the levels of the averaged network's norms on images that are not varied.

        On windows, where the recipe has any: on whole films, mostly air, bone's AUROC fell from .912 to .885 (n 424).
        """
        norms = [module for module in self.average.modules() if isinstance(module, LevelNorm)]
        if not norms:
            return
        for norm in norms:
            norm.forget()
        self.average.train()
        for start in range(0, min(_SETTLING, len(order) // size) * size, size):
            rows = order[start : start + size]
            drawn = draw_rows(
                self.train, rows, self.recipe, crops=self.recipe.crops, random=random, device=self.device, still=True
            )
            with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
                self.average(drawn.images.contiguous(memory_format=torch.channels_last))
        self.average.eval()

    def _step(self, rows: Tensor, step: int, random: torch.Generator, crops: Crops | None) -> float:
        recipe, device = self.recipe, self.device
        drawn = draw_rows(self.train, rows, recipe, crops=crops, random=random, device=device)
        for group in self.optimiser.param_groups:
            group["lr"] = (
                group["share"]
                * recipe.learning_rate
                * _schedule(step, self.steps, recipe.warm_up_epochs * self.batches)
            )
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
            "best": self.best,
            "looks_since_best": self.looks_since_best,
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
        self.best = stored.get("best", self.best)
        self.looks_since_best = stored.get("looks_since_best", 0)


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


def _schedule(step: int, steps: int, warm_up: float) -> float:
    if step < warm_up:
        return (step + 1) / max(1.0, warm_up)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1.0, steps - warm_up)))
