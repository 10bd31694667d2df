"""What an engine bundle holds, unchanged since it was signed off: digests, calibration, thresholds, priors."""

from __future__ import annotations

import hashlib
import io
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from radiolucent.engines.manifest import Manifest, load_manifest
from radiolucent.errors import DigestMismatch, InvalidBundle

SUMS = "SHA256SUMS"
REQUIRED = ("manifest.toml", "graph.onnx", "card.md", SUMS)
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")

_TWO_SIDED_95 = 1.959964  # standard deviations to each side that hold 95 % of a normal distribution

Probability = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=_Table)


class ScalingSpread(_Table):
    """How far a scaling's two numbers vary when its cases are drawn anew by group: their variances and covariance."""

    slope: float = Field(ge=0, description="variance of the slope")
    intercept: float = Field(ge=0, description="variance of the intercept")
    covariance: float
    groups: int = Field(ge=2, description="groups (patients, where they are known) that were drawn from")
    draws: int = Field(ge=2)

    @model_validator(mode="after")
    def _is_a_covariance(self) -> ScalingSpread:
        if self.covariance**2 > self.slope * self.intercept * (1 + 1e-6):
            raise ValueError("the covariance is larger than the variances allow")
        return self


class CalibrationEntry(_Table):
    """Platt scaling of one finding: ``p = 1 / (1 + exp(-(slope * logit + intercept)))``.

    Source: J. Platt, Probabilistic outputs for support vector machines, 1999.
    """

    slope: float = Field(gt=0, description="positive: calibration never turns the order of two studies round")
    intercept: float
    n: int = Field(ge=1, description="cases it was fitted on")
    source: str
    spread: ScalingSpread | None = Field(default=None, description="None: no interval is known")


class Calibration(_Table):
    """``calibration.json``."""

    schema_version: Literal[1] = 1
    findings: dict[str, CalibrationEntry]


class OperatingPoint(_Table):
    """The probability from which a finding counts as present, and what that was measured to give."""

    probability: Probability
    sensitivity: Probability | None = None
    specificity: Probability | None = None
    n: int = Field(default=0, ge=0)


class OperatingPoints(_Table):
    """``operating_points.json``, or a site's own file of the same form. Bound to one engine version."""

    schema_version: Literal[1] = 1
    engine: str = Field(description="name@version that the thresholds were chosen for")
    rule: str = Field(description="how they were chosen, in words")
    findings: dict[str, OperatingPoint]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """One engine on disk, checked against its digests when it was loaded.

    Parameters
    ----------
    path : the folder.
    manifest : ``manifest.toml``.
    sums : file name → SHA-256 (hex), as `SHA256SUMS` has them.
    calibration : None where the bundle has none; then no probability is ever shown.
    operating_points : None where the bundle has none.
    priors : finding → float32 ``(rows, columns)``, how often evidence is expected there, in body-normalised coordinates
        (row 0 at the top of the body's box, column 0 at the left of the image). Empty where the bundle has none.
    """

    path: Path
    manifest: Manifest
    sums: Mapping[str, str]
    calibration: Calibration | None = None
    operating_points: OperatingPoints | None = None
    priors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the sorted lines of `SHA256SUMS`: it changes when any file does."""
        return digest_of(self.sums)

    @property
    def label(self) -> str:
        """``name@version``."""
        return self.manifest.label

    def read(self, name: str) -> bytes:
        """One file's bytes, checked again as they are read.

        Raises
        ------
        DigestMismatch
            If the file changed since the bundle was loaded.
        """
        return _checked_bytes(self.path, name, self.sums.get(name, ""))

    def score(self, logit: float) -> float:
        """``sigmoid(logit)`` in [0, 1]: an order, not a probability.

        Warning
        -------
        Never show it as a percentage.
        """
        return _sigmoid(logit)

    def probability(self, finding: str, logit: float) -> float | None:
        """Calibrated probability in [0, 1], or None where this finding has no calibration."""
        entry = self.calibration.findings.get(finding) if self.calibration else None
        return None if entry is None else _sigmoid(entry.slope * logit + entry.intercept)

    def probability_interval(self, finding: str, logit: float) -> tuple[float, float] | None:
        """95 % interval of `probability`; None where the bundle holds no spread for the finding.

        It tells how well the calibration is known from its cases. It isn't the spread of single patients.
        """
        entry = self.calibration.findings.get(finding) if self.calibration else None
        if entry is None or entry.spread is None:
            return None
        spread, middle = entry.spread, entry.slope * logit + entry.intercept
        variance = spread.slope * logit**2 + 2 * spread.covariance * logit + spread.intercept
        half = _TWO_SIDED_95 * math.sqrt(max(variance, 0.0))
        return _sigmoid(middle - half), _sigmoid(middle + half)

    def operating_point(self, finding: str) -> float:
        """The probability (uncalibrated: the score) from which the finding counts as present; 0.5 without a table."""
        points = self.operating_points
        return points.findings[finding].probability if points else 0.5


def load_bundle(path: Path) -> Bundle:
    """Read a bundle and check every file of it.

    Raises
    ------
    InvalidBundle
        If a required file is missing, one can't be parsed, or one contradicts the manifest.
    DigestMismatch
        If a file changed, vanished or was added since the bundle was signed off; `args` names the file.
    """
    for name in REQUIRED:
        if not (path / name).is_file():
            raise InvalidBundle(f"{path.name}: no {name}; an engine bundle is a folder that has one")
    sums = read_sums(path)
    _check_files(path, sums)
    manifest = load_manifest(path / "manifest.toml")
    has = frozenset(sums)
    return Bundle(
        path=path,
        manifest=manifest,
        sums=MappingProxyType(sums),
        calibration=_load_calibration(path / "calibration.json", manifest) if "calibration.json" in has else None,
        operating_points=(
            load_operating_points(path / "operating_points.json", manifest) if "operating_points.json" in has else None
        ),
        priors=_load_priors(path / "priors.npz", manifest) if "priors.npz" in has else MappingProxyType({}),
    )


def load_operating_points(path: Path, manifest: Manifest) -> OperatingPoints:
    """Read thresholds: a bundle's own, or those of a site.

    Raises
    ------
    InvalidBundle
        If the file can't be parsed, was made for another engine or version, or doesn't hold exactly the
        manifest's findings. Thresholds of another version are never used.
    """
    points = _parse(path, OperatingPoints)
    if points.engine != manifest.label:
        raise InvalidBundle(
            f"{path.name} holds operating points for {points.engine}; {manifest.label} needs its own: "
            "choose them again for this version"
        )
    different = set(points.findings) ^ set(manifest.finding_names)
    if different:
        raise InvalidBundle(f"{path.name} and the manifest disagree on the findings: {', '.join(sorted(different))}")
    return points


def digest_of(sums: Mapping[str, str]) -> str:
    """SHA-256 (hex) over the sorted lines of a `SHA256SUMS`."""
    return hashlib.sha256("".join(sorted(_lines(sums))).encode()).hexdigest()


def sign(folder: Path) -> str:
    """Write `SHA256SUMS` over all files of a finished bundle.

    Returns
    -------
    The bundle's digest, hex.

    Raises
    ------
    InvalidBundle
        If the folder holds a folder, a link, or a file name other than ASCII letters, digits, ``.``, ``_``, ``-``.
    """
    sums = {}
    for file in sorted(folder.iterdir()):
        if file.name == SUMS:
            continue
        if not _is_plain(file) or not _LINE.fullmatch(f"{'0' * 64}  {file.name}"):
            raise InvalidBundle(f"{folder.name}: {file.name!r} is no plain file with a plain name")
        sums[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / SUMS).write_text("".join(_lines(sums)), encoding="ascii")
    return digest_of(sums)


def read_sums(folder: Path) -> dict[str, str]:
    """File name → SHA-256 (hex) from `SHA256SUMS`, in the form that ``sha256sum --check`` reads.

    Raises
    ------
    InvalidBundle
        If a line has another form or a name stands twice.
    """
    sums: dict[str, str] = {}
    for line in (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match["name"] in sums:
            raise InvalidBundle(f"{folder.name}/{SUMS}: line not understood: {line[:100]!r}")
        sums[match["name"]] = match["digest"]
    return sums


def _lines(sums: Mapping[str, str]) -> list[str]:
    return [f"{digest}  {name}\n" for name, digest in sums.items()]


def _is_plain(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def _check_files(folder: Path, sums: Mapping[str, str]) -> None:
    present = {file.name for file in folder.iterdir()} - {SUMS}
    for name in sorted(present - set(sums)):
        raise DigestMismatch(f"{folder.name}: {name} was added: it is not in {SUMS}")
    for name, digest in sums.items():
        _checked_bytes(folder, name, digest)


def _checked_bytes(folder: Path, name: str, digest: str) -> bytes:
    if not _is_plain(folder / name):
        raise DigestMismatch(f"{folder.name}: {name} is in {SUMS}, but not in the folder as a plain file")
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise DigestMismatch(f"{folder.name}: {name} is not the file that was signed off; get the bundle again")
    return content


def _parse(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InvalidBundle(f"{path.name} doesn't exist") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "content"
        raise InvalidBundle(f"{path.parent.name}/{path.name}: {where}: {first['msg']}") from error


def _load_calibration(path: Path, manifest: Manifest) -> Calibration:
    calibration = _parse(path, Calibration)
    unknown = set(calibration.findings) - set(manifest.finding_names)
    if unknown:
        raise InvalidBundle(f"{path.name} calibrates findings that the manifest hasn't: {', '.join(sorted(unknown))}")
    return calibration


def _load_priors(path: Path, manifest: Manifest) -> Mapping[str, NDArray[np.float32]]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            priors = {name: np.asarray(file[name]) for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidBundle(f"{path.parent.name}/priors.npz can't be read: {error}") from error
    for name, prior in priors.items():
        if name not in manifest.finding_names:
            raise InvalidBundle(f"priors.npz holds {name!r}, which the manifest hasn't")
        if prior.ndim != 2 or prior.dtype != np.float32 or not np.isfinite(prior).all() or prior.min() < 0:
            raise InvalidBundle(f"priors.npz: {name}: a prior is float32 (rows, columns), finite and not negative")
    return MappingProxyType(priors)


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
