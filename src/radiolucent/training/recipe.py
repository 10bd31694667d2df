"""What a training recipe and an engine's scope consist of; the engines' own are in `training.engines`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far training images may be bent. Angles in degrees, lengths in input pixels.

    `mirror` makes symmetric heads out of the half without (or with) a finding, `cut` removes one side of the image:
    both give true negatives, and the same is done to positives so that neither gives the answer away.
    """

    rotation: float = 15.0
    scale: tuple[float, float] = (0.8, 1.25)
    stretch: float = 0.06
    shift: float = 12.0
    flip_columns: bool = True
    flip_rows: bool = False
    gamma: float = 0.3
    contrast: float = 0.2
    bias_field: float = 0.3
    noise: float = 0.08
    blur: float = 0.3
    mirror: float = 0.2
    cut: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Weights of the loss's terms; with `evidence` and `overlap` 0 only the image labels teach.

    ``image * (cross-entropy over [0, logits] where findings exclude each other, and binary cross-entropy) + evidence *
    cell cross-entropy (cells inside an outline × `inside`) + overlap * Dice of cell probabilities``.
    """

    image: float = 0.5
    evidence: float = 10.0
    overlap: float = 1.0
    inside: float = 4.0

    def describe(self) -> str:
        """One line for the manifest."""
        return (
            f"{self.image:g} × image (cross-entropy + binary cross-entropy on pooled logits) "
            f"+ {self.evidence:g} × cell cross-entropy (inside outlines × {self.inside:g}) "
            f"+ {self.overlap:g} × cell Dice"
        )

    def unsupervised(self) -> Loss:
        """The same loss without supervision of the evidence, for the ablation."""
        return Loss(image=self.image, evidence=0.0, overlap=0.0, inside=self.inside)


@dataclass(frozen=True, kw_only=True)
class EngineRecipe:
    """Everything that `fit` needs to know of one engine, but the data.

    Parameters
    ----------
    preprocess : recipe in `engines.preprocess`.
    size, canvas : sides of the network's input and of the packed image that it is drawn from, pixels.
    spacing_mm : mm per input pixel, None where the recipe doesn't resample to one.
    step, offset : quantisation of packed images, see `training.pack`.
    exclusive : True where an image has at most one finding.
    balance : 0 draws images as they come, 1 draws each finding equally often.
    synthetic_kind, synthetic_options : what `phantom` is asked for by ``--phantoms``; of each option one value a study.
    """

    engine: str
    title: str
    summary: str
    findings: tuple[str, ...]
    preprocess: str
    size: int
    canvas: int
    spacing_mm: float | None
    step: float
    offset: float
    exclusive: bool
    channels: int = 1
    synthetic_kind: str = ""
    synthetic_options: dict[str, list[Any]] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: Loss = field(default_factory=Loss)
    balance: float = 0.5
    epochs: int = 60
    batch: int = 16
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.02
    warm_up_epochs: float = 1.0
    average_decay: float = 0.998


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One engine's scope, terms and known limits.

    Parameters
    ----------
    tables : the manifest's ``scope`` table.
    shortcuts : sentences for the card: what the network might use instead of the finding, and what was tried.
    """

    engine: str
    version: str
    study_rule: Literal["image", "largest-slice", "largest-slab"]
    slab_mm: float | None
    licence: str
    data: tuple[str, ...]
    terms: str
    intended: str
    splits: str
    shortcuts: tuple[str, ...]
    tables: dict[str, Any] = field(default_factory=dict)
