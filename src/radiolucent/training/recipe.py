"""What a training recipe and an engine's scope consist of; the engines' own are in `training.engines`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

# what the backbone efficientnet-lite0 brings along, for the card
PHOTOGRAPHS = "ImageNet-1k's photographs, by way of the weights of EfficientNet-Lite0 (Google, 2020, Apache-2.0)"


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far training images may be bent. Angles in degrees, lengths in input pixels.

    `level` shifts all that isn't air, `brightest` clips as a window does; both in network units, from air upwards.
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
    level: float = 0.0
    brightest: float | None = None


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Training on windows of large films before whole ones. Lengths in input pixels.

    Parameters
    ----------
    size : side of the windows.
    whole : share of the epochs, at the end, that see whole films, `batch` at a time.
    beside : share of the windows of a film with a finding that are laid near one of its outlines.
    jitter : how far the middle of such a window may lie from the middle of the outline, on each axis.
    metal : share of the images into which plates and screws are drawn, so that metal alone is no sign of a finding.
    """

    size: int = 256
    whole: float = 0.2
    batch: int = 8
    beside: float = 0.75
    jitter: float = 90.0
    metal: float = 0.1


@dataclass(frozen=True, kw_only=True)
class RoutedSite:
    """One site that a router tells.

    Parameters
    ----------
    name : a site of the recipe, learned from real films and from synthetic ones; another is known from synthetic films
        alone, and an engine refuses what it takes for it.
    body_parts : words of `imaging.terms` with which a header says that a film shows this site and no other.
    kind, findings : what `phantom` is asked for; of the findings one set a study.
    drawn : values of the option ``site`` of that kind; empty where it has none.
    """

    name: str
    body_parts: tuple[str, ...]
    kind: str = "bone-xr"
    findings: tuple[tuple[str, ...], ...] = ((), ("fracture",), ("hardware",))
    drawn: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Router:
    """Telling sites, fitted when all else is (`training.routing`): on whole films, real and synthetic of every site.

    Synthetic films of every site take part, so that a film isn't taken for a site because of its look.

    Parameters
    ----------
    options : of every synthetic study, beside ``site``.
    films : real training films at most.
    each, strange : synthetic films of each value of ``site``: of sites that real films show, and of others.
    """

    sites: tuple[RoutedSite, ...]
    options: dict[str, int] = field(default_factory=dict)
    films: int = 1000
    each: int = 20
    strange: int = 80

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sites, in the order of what the router gives."""
        return tuple(site.name for site in self.sites)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Weights of the loss's terms; with `evidence` and `overlap` 0 only the image labels teach.

    ``image * (cross-entropy over [0, logits] where findings exclude each other, and binary cross-entropy) + evidence *
    cell cross-entropy (cells inside an outline × `inside`) + overlap * Dice of cell probabilities``.

    `cells` says what a cell's probability is: of ``softmax([0, M_1, …, M_K])`` where one cell shows one finding at
    most (``exclusive``), of the sigmoid of each map alone where findings overlap (``independent``).
    """

    image: float = 0.5
    evidence: float = 10.0
    overlap: float = 1.0
    inside: float = 4.0
    cells: Literal["exclusive", "independent"] = "exclusive"
    traits: float = 0.0

    def describe(self) -> str:
        """One line for the manifest."""
        return (
            f"{self.image:g} × image ({'' if self.cells == 'independent' else 'cross-entropy + '}"
            "binary cross-entropy on pooled logits) "
            f"+ {self.evidence:g} × cell cross-entropy (inside outlines × {self.inside:g}"
            f"{', each finding by itself' if self.cells == 'independent' else ''}) "
            f"+ {self.overlap:g} × cell Dice"
            + (f" + {self.traits:g} × binary cross-entropy of sites and traits" if self.traits else "")
        )

    def unsupervised(self) -> Loss:
        """The same loss without supervision of the evidence, for the ablation."""
        return replace(self, evidence=0.0, overlap=0.0)


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
    sites, traits : labels of the rows, beside the findings, that the network also learns; see `EvidenceNet`.
    router : how the sites are told to whom asks; None tells none. Beside the heads' own routing, learned on windows.
    doubtful : a trait that all but gives the finding away: the label of an image that has both teaches nothing, only
        its outlines do. Empty where there is none.
    measure_every : epochs between two looks at the validation rows.
    outline_core : name of a function in `training.cores` that narrows loose outlines down to what they are about.
    phantom_findings : those of `findings` that only synthetic studies teach.
    prior_rows : subgroup → value of the rows whose outlines make the anatomical priors; empty takes all.
    several : finding → the findings of which two or more make it; synthetic studies don't name it either.
    umbrella : finding → the findings that it contains; synthetic studies know no umbrella, so it is made of them.
    synthetic_kind, synthetic_options : what `phantom` is asked for by ``--phantoms``; of each option one value a study.
    synthetic_findings : what the studies hold in turn; empty takes each of `findings`, then none.
    synthetic_share : of the images drawn for training; None lets synthetic rows count as others do.
    even_folders : True draws as many images from each folder, however many it holds.
    base_rates : True gives each finding a fixed bias, its log odds among the images drawn, so that a map says what
        speaks for the finding beyond its base rate. Where no outlines teach it, the map of a rare finding is else
        below 0 everywhere, and nothing of it is shown.
    photographs : learning rate of the backbone ``efficientnet-lite0``, which begins with weights from photographs, as a
        share of the others'; its stem and first stage stay as they are.
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
    outline_core: str = ""
    phantom_findings: tuple[str, ...] = ()
    prior_rows: dict[str, str] = field(default_factory=dict)
    umbrella: dict[str, tuple[str, ...]] = field(default_factory=dict)
    several: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sites: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    router: Router | None = None
    doubtful: str = ""
    crops: Crops | None = None
    measure_every: int = 1
    synthetic_kind: str = ""
    synthetic_options: dict[str, list[Any]] = field(default_factory=dict)
    synthetic_findings: tuple[tuple[str, ...], ...] = ()
    synthetic_share: float | None = None
    even_folders: bool = False
    base_rates: bool = False
    photographs: float = 0.3
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

    @property
    def shown(self) -> tuple[str, ...]:
        """Traits that the engine gives out as findings, behind the others."""
        count = int(self.network.get("shown", 0))
        return self.traits[len(self.traits) - count :]

    @property
    def reported(self) -> EngineRecipe:
        """The recipe as a bundle shows it: `shown` traits are findings."""
        return replace(self, findings=(*self.findings, *self.shown)) if self.shown else self


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
