"""What an engine bundle says of itself: name, version, findings, input, pooling, scope, operating points.

A bundle is a folder: ``manifest.toml``, ``graph.onnx`` (outputs ``logits (N, K)`` and ``evidence (N, K, h, w)``, and
``sites (N, S)`` where it tells which part of the body a film shows), ``calibration.json``, ``operating_points.json``,
``priors.npz``, ``card.md`` and ``SHA256SUMS``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from radiolucent.errors import InvalidBundle

Pooling = Literal["mean", "log-sum-exp", "gradient"]
# how likely sites that aren't read must be for a film to be refused, and under what the one that a header names is
# doubted; how many films either holds for is on the card (`training.routing.measure_routing`)
SITE_REFUSED, SITE_DOUBTED = 0.5, 0.05


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FindingEntry(_Table):
    """One class of the graph, in the order of its outputs."""

    name: str
    basis: Literal["real", "phantom"]
    display_scale: float = Field(gt=0, description="evidence in logit units at which the colour scale ends")
    bias: float = Field(default=0.0, description="logit = pool(evidence) + bias")


class SiteEntry(_Table):
    """One part of the body that the graph's output ``sites`` tells, in the order of that output."""

    name: str
    basis: Literal["real", "phantom"]
    read: bool = Field(description="false: a film that is taken for it is refused")
    body_parts: list[str] = Field(
        default=[], description="words for body parts (imaging.terms) with which a header says that it shows this"
    )


class InputSpec(_Table):
    """What the network is fed; `engines.preprocess` holds one recipe per name."""

    recipe: str
    height: int = Field(gt=0)
    width: int = Field(gt=0)
    channels: int = Field(gt=0, default=1)
    spacing_mm: float | None = Field(default=None, gt=0, description="mm per input pixel where the recipe resamples")
    margin: int = Field(default=0, ge=0, description="pixels of a placed film that lie outside the input, each side")
    window: tuple[float, float] | None = Field(default=None, description="modality values that become black and white")
    depth: int | None = Field(default=None, gt=0, description="slices of a network that takes whole volumes")

    @model_validator(mode="after")
    def _margin_is_cut_by_the_recipe(self) -> InputSpec:
        if self.margin and self.recipe != "chest":
            raise ValueError(f"recipe {self.recipe!r} cuts no margin: leave it out, or use 'chest'")
        return self

    @model_validator(mode="after")
    def _window_has_a_width(self) -> InputSpec:
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"window {list(self.window)} must go from a smaller to a larger value")
        return self


class HeadSpec(_Table):
    """How the logit follows from the map; checked on every read.

    ``mean``: ``mean(M) + bias``. ``log-sum-exp``: ``log(mean(exp(r * M))) / r + bias`` with sharpness `r`.
    ``gradient``: the head bends, the map is of first order (Grad-CAM) and isn't claimed to give the logit.
    """

    pooling: Pooling
    sharpness: float | None = Field(default=None, gt=0)
    grid: tuple[int, int]
    depth: int | None = Field(default=None, gt=0, description="cells along the slices, for a network of whole volumes")
    tolerance: float = Field(default=1e-4, gt=0)

    @model_validator(mode="after")
    def _sharpness_belongs_to_log_sum_exp(self) -> HeadSpec:
        if (self.pooling == "log-sum-exp") != (self.sharpness is not None):
            raise ValueError("sharpness is given for log-sum-exp pooling, and for that alone")
        return self


class ScopeSpec(_Table):
    """What the engine may be given. An empty list means: no limit of this kind."""

    modalities: list[str]
    body_parts: list[str] = []
    views: list[str] = []
    weighting: Literal["T1"] | None = None
    contrast: bool | None = None
    minimum_age_years: float | None = None
    minimum_slices: int = Field(default=1, ge=1, description="of a volume; a single image counts as one slice")
    needs_spacing: bool = Field(default=False, description="refuse images whose pixel spacing in mm is unknown")
    refuse: list[str] = Field(default=[], description="flags (ingest.flagging) for which nothing is read at all")
    limits: list[str] = Field(description="sentences for people: what the engine can't do")


class TrainingSpec(_Table):
    """What the weights came from, in enough detail to repeat it."""

    command: str
    data: list[str]
    terms: str
    loss: str
    evidence_weight: float
    seed: int
    epochs: int
    parameters: int


class TwinSpec(_Table):
    """The network's PyTorch twin: architecture name in `engines.network` and its arguments."""

    network: str
    arguments: dict[str, int | float | str | bool | list[int] | list[str]] = {}


class Manifest(_Table):
    """``manifest.toml``, validated."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    title: str
    summary: str
    findings: list[FindingEntry] = Field(min_length=1)
    sites: list[SiteEntry] = []
    input: InputSpec
    head: HeadSpec
    scope: ScopeSpec
    study_rule: Literal["image", "largest-slice", "largest-slab", "volume"]
    slab_mm: float | None = Field(default=None, gt=0, description="thickness over which largest-slab averages")
    training: TrainingSpec | None = None
    twin: TwinSpec | None = None
    licence: str

    @model_validator(mode="after")
    def _names_are_unique(self) -> Manifest:
        if len(set(self.finding_names)) != len(self.findings):
            raise ValueError("a finding is listed twice")
        return self

    @model_validator(mode="after")
    def _slab_belongs_to_its_rule(self) -> Manifest:
        if (self.study_rule == "largest-slab") != (self.slab_mm is not None):
            raise ValueError("slab_mm is given for largest-slab, and for that alone")
        return self

    @model_validator(mode="after")
    def _a_volume_is_a_volume_throughout(self) -> Manifest:
        if not (self.input.depth is None) == (self.head.depth is None) == (self.study_rule != "volume"):
            raise ValueError("input.depth, head.depth and study_rule volume belong together")
        return self

    @model_validator(mode="after")
    def _sites_are_those_of_films(self) -> Manifest:
        if len({site.name for site in self.sites}) != len(self.sites):
            raise ValueError("a site is listed twice")
        if self.sites and self.study_rule != "image":
            raise ValueError("sites are told of single films: study_rule must be image")
        return self

    @property
    def finding_names(self) -> tuple[str, ...]:
        """Names in the order of the graph's outputs."""
        return tuple(finding.name for finding in self.findings)

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


def load_manifest(path: Path) -> Manifest:
    """Read ``manifest.toml``.

    Raises
    ------
    InvalidBundle
        If the file is missing, isn't TOML, or a field is missing, unknown or out of range.
    """
    try:
        return Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InvalidBundle(
            f"{path.parent.name}: no manifest.toml; an engine bundle is a folder that has one"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidBundle(f"{path.parent.name}/manifest.toml is no valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise InvalidBundle(f"{path.parent.name}/manifest.toml: {where}: {first['msg']}") from error
