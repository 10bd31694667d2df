"""Critical findings, shown: a phantom of each, read by the ordinary route; how many come out at level 1, map first.

Phantoms are drawn one seed after the other and every seed counts. What an engine knows from phantoms alone
is switched on for it. The figures tell of these phantoms and say nothing about patients.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from radiolucent.engines.runtime import Engine
from radiolucent.findings.hierarchy import GENERIC, open_heatmaps
from radiolucent.findings.judgement import default_tables
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.findings.urgency import level_number, study_urgency
from radiolucent.phantom.studies import PhantomStudy, make_study
from radiolucent.pipeline.read_path import read_path
from radiolucent.pipeline.read_study import Options, Progress

CRITICAL: tuple[tuple[str, str], ...] = (
    ("chest-xr", "tension-pneumothorax"),
    ("chest-xr", "widened-mediastinum"),
    ("head-ct", "epidural-haemorrhage"),
    ("head-ct", "subdural-haemorrhage"),
    ("head-ct", "subarachnoid-haemorrhage"),
    ("head-ct", "intraparenchymal-haemorrhage"),
    ("head-ct", "intraventricular-haemorrhage"),
    ("head-ct", "mixed-haemorrhage"),
    ("head-ct", "acute-infarct"),
)
"""(kind of phantom, finding): every finding that the urgency table starts at level 1 and that a phantom can show."""
ENGINES = {"chest-xr": "chest", "head-ct": "head-ct"}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One phantom, read.

    Parameters
    ----------
    level : urgency of the study, 1 to 5.
    named : the finding itself is above its threshold.
    heatmap_first : the first map that opens belongs to a finding at level 1.
    inside : the peak of that map lies in the true outline; None where no map opens first.
    by : the finding whose map opens first, or empty.
    reason : why there is no map, where the finding is above threshold without one.
    """

    kind: str
    finding: str
    seed: int
    level: int
    named: bool
    heatmap_first: bool
    inside: bool | None
    by: str = ""
    reason: str = ""

    @property
    def shown(self) -> bool:
        """Level 1 with a heatmap first."""
        return self.level == 1 and self.heatmap_first


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of all phantoms of one finding; `by_itself` asks for the finding's own map, not an umbrella's."""

    finding: str
    basis: str
    trials: tuple[Trial, ...]

    def count(self, what: str) -> int:
        """How many trials have it: ``shown``, ``named``, ``inside``, ``heatmap_first``."""
        return sum(bool(getattr(trial, what)) for trial in self.trials)

    @property
    def shown_seeds(self) -> tuple[int, ...]:
        """Seeds at level 1 with a heatmap first."""
        return tuple(trial.seed for trial in self.trials if trial.shown)


def show_critical(
    engines: Sequence[Engine],
    *,
    seeds: Sequence[int],
    findings: Sequence[str] = (),
    progress: Progress | None = None,
) -> tuple[Row, ...]:
    """Draw and read phantoms of the critical findings.

    Parameters
    ----------
    engines : each phantom is read by those whose name stands in `ENGINES` for its kind.
    seeds : of the phantoms, the same for every finding.
    findings : keys of the taxonomy; all of `CRITICAL` where none is given.
    """
    chosen = [(kind, name) for kind, name in CRITICAL if not findings or name in findings]
    rows = []
    for index, (kind, name) in enumerate(chosen):
        own = [engine for engine in engines if engine.bundle.manifest.name == ENGINES[kind]]
        trials = []
        for number, seed in enumerate(seeds):
            if progress:
                progress(name, index * len(seeds) + number, len(chosen) * len(seeds))
            trials.append(_trial(kind, name, seed, own))
        rows.append(Row(finding=name, basis=_basis(name, own), trials=tuple(trials)))
    return tuple(rows)


def _trial(kind: str, name: str, seed: int, engines: Sequence[Engine]) -> Trial:
    study = make_study(kind, (name,), seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        study.save(Path(folder))
        result = read_path(Path(folder), engines, options=Options(phantom_findings=True))
    reading = result.readings[0]
    found = next((one for one in reading.findings if one.name == name and one.positive), None)
    first = next(iter(open_heatmaps(reading)), None)
    where = found.localisation if found else None
    return Trial(
        kind=kind,
        finding=name,
        seed=seed,
        level=level_number(study_urgency(reading, default_tables().urgency)),
        named=found is not None,
        heatmap_first=first is not None and level_number(first.finding.urgency) == 1 and about(name, first.finding),
        inside=_inside(first.finding, first.series, study) if first else None,
        by=first.finding.name if first else "",
        reason=f"{where.status} {where.reason}".strip() if where and where.status != "located" else _unread(reading),
    )


def about(name: str, finding: Finding) -> bool:
    """Whether a map that opens first tells of the phantom's finding: the same, its umbrella, or its sister bleed."""
    bleeds = name.endswith("haemorrhage") and finding.name.endswith("haemorrhage")
    return finding.name == name or finding.name in GENERIC or bleeds


def _inside(finding: Finding, series: SeriesReading, study: PhantomStudy) -> bool | None:
    where = finding.localisation
    if where is None or not where.regions:
        return None
    region = where.regions[0]
    uid = series.frames[region.frame].sop_instance_uid
    frame = next(index for index, dataset in enumerate(study.datasets) if uid == dataset.SOPInstanceUID)
    row, column = (round(value) for value in region.peak)
    return any(bool(lesion.mask[frame, row, column]) for lesion in study.lesions)


def _unread(reading: Reading) -> str:
    return "; ".join(refusal.reason for one in reading.unread for refusal in one.refusals)


def _basis(name: str, engines: Sequence[Engine]) -> str:
    entries = [entry for engine in engines for entry in engine.bundle.manifest.findings if entry.name == name]
    return entries[0].basis if entries else "no engine"


def as_table(rows: Sequence[Row]) -> list[str]:
    """One line a finding: how many of the seeds came out at level 1 with a map first, and which."""
    lines = []
    for row in rows:
        n, seeds = len(row.trials), ", ".join(map(str, row.shown_seeds)) or "none"
        lines.append(
            f"{FINDINGS[row.finding].label:<30} level 1, heatmap first: {row.count('shown')} of {n}; "
            f"named: {row.count('named')}; peak inside: {row.count('inside')}; "
            f"known from {row.basis} images; seeds {seeds}"
        )
    return lines
