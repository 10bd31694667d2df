"""Everything under a path, read: each study by the route, the prior beside it, and the problems of loose files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from radiolucent.engines.registry import Bundle, find_bundle, installed_bundles, load_bundle, newest
from radiolucent.engines.runtime import Engine, load_engine
from radiolucent.errors import SetupError
from radiolucent.explain.explanation import find_method
from radiolucent.explain.gate import default_gate
from radiolucent.findings.change import Alignments
from radiolucent.findings.judgement import judge
from radiolucent.findings.priors import Prior
from radiolucent.findings.profile import apply
from radiolucent.findings.reading import Reading
from radiolucent.imaging.body import Box, body_box
from radiolucent.imaging.header import text
from radiolucent.imaging.loading import load
from radiolucent.imaging.quality import age_years
from radiolucent.imaging.registration import Alignment, register
from radiolucent.imaging.study import Problem, Study
from radiolucent.pipeline.measures import measured, tissues
from radiolucent.pipeline.read_study import Options, Progress, read_study


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """One study with its reading, its prior, and how the volumes of both lie to each other."""

    study: Study
    reading: Reading
    prior_study: Study | None = None
    prior_reading: Reading | None = None
    alignments: Alignments = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PathResult:
    """What was read under one path; `limits` says of each engine, by ``name@version``, what it can't do."""

    results: tuple[StudyResult, ...]
    problems: tuple[Problem, ...]
    limits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The readings, in the order of the studies."""
        return tuple(result.reading for result in self.results)


def choose_bundles(names: Sequence[str]) -> list[Bundle]:
    """The bundles of these names or folders; the newest version of each installed one where no name is given.

    Raises
    ------
    SetupError
        If a name is no folder and no installed engine.
    """
    installed = installed_bundles()
    if not names:
        return newest(installed)
    return [load_bundle(Path(name)) if Path(name).is_dir() else find_bundle(name, installed) for name in names]


def read_path(
    path: Path,
    engines: Sequence[Engine],
    *,
    prior: Path | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> PathResult:
    """Read every study under `path`.

    Raises
    ------
    UnreadableFile, UnsafeArchive, NothingToRead
        If the path itself can't be read at all. A broken file among good ones is a problem in the result instead.
    StaleOperatingPoints
        If the site's thresholds were set for another version of an engine.
    """
    options = options or Options()
    for engine in engines:
        options.thresholds(engine.bundle)  # thresholds of another version stop everything before anything is read
    loaded = load(path, progress=(lambda done, total: progress("reading files", done, total)) if progress else None)
    earlier = load(prior) if prior else None
    results = []
    for study in loaded.studies:
        earlier_study = _prior_of(study, earlier.studies) if earlier else None
        reading = measured(study, read_study(study, engines, options=options, progress=progress))
        if earlier and earlier_study is None:
            reading = replace(reading, problems=(*reading.problems, _no_prior(study)))
        prior_reading = read_study(earlier_study, engines, options=options) if earlier_study else None
        alignments = _alignments(study, reading, earlier_study, prior_reading, progress)
        judged = judge(
            reading,
            prior=prior_reading,
            alignments=alignments,
            bundle_priors=_priors(engines),
            body_boxes=_body_boxes(study, reading),
            tissues=tissues(study, reading),
            age_years=age_years(study.header),
            tables=options.tables,
        )
        if options.profile:
            judged = apply(judged, options.profile)
            prior_reading = apply(prior_reading, options.profile) if prior_reading else None
        results.append(
            StudyResult(
                study=study,
                reading=judged,
                prior_study=earlier_study,
                prior_reading=prior_reading,
                alignments=alignments,
            )
        )
    of_prior = (
        tuple(replace(problem, reason=f"prior: {problem.reason}") for problem in earlier.problems) if earlier else ()
    )
    problems = loaded.problems + of_prior
    return PathResult(
        results=tuple(results),
        problems=problems,
        limits={engine.bundle.manifest.label: tuple(engine.bundle.manifest.scope.limits) for engine in engines},
    )


def _priors(engines: Sequence[Engine]) -> dict[tuple[str, str], Prior]:
    """Every engine's prior maps, by (engine name, finding name)."""
    return {
        (engine.bundle.manifest.name, name): prior for engine in engines for name, prior in engine.bundle.priors.items()
    }


def _alignments(
    study: Study, reading: Reading, earlier: Study | None, prior: Reading | None, progress: Progress | None
) -> dict[tuple[str, str], Alignment]:
    """Every pair of volumes of both studies that the same engine read, registered where that can be done."""
    if earlier is None or prior is None:
        return {}
    pairs = [
        (series.key, before.key)
        for series in reading.series
        for before in prior.series
        if series.engine == before.engine and series.kind == before.kind == "volume"
    ]
    stacks = {stack.key: stack for stack in (*study.stacks, *earlier.stacks)}
    found = {}
    for index, (key, before_key) in enumerate(pairs):
        if progress:
            progress("registering with the prior", index, len(pairs))
        alignment = register(stacks[key], stacks[before_key])
        if alignment:
            found[key, before_key] = alignment
    return found


def _body_boxes(study: Study, reading: Reading) -> dict[str, Box]:
    """The body's box in every series that was read, by `SeriesReading.key`."""
    read = {series.key for series in reading.series}
    return {stack.key: body_box(stack.pixels) for stack in study.stacks if stack.key in read}


def _prior_of(study: Study, candidates: Sequence[Study]) -> Study | None:
    """The latest other study of the same patient that isn't later; the only one where neither side names a patient."""
    patient, date = text(study.header, "PatientID"), text(study.header, "StudyDate")
    others = [
        other
        for other in candidates
        if other.study_instance_uid != study.study_instance_uid
        and text(other.header, "PatientID") == patient
        and not (date and text(other.header, "StudyDate") > date)
    ]
    if not patient and len(others) > 1:
        return None
    return max(others, key=lambda other: (text(other.header, "StudyDate"), other.study_instance_uid), default=None)


def _no_prior(study: Study) -> Problem:
    return Problem(
        code="prior-not-used",
        reason="no comparison: what was given as prior holds no other study of this patient that is earlier",
        study_instance_uid=study.study_instance_uid,
    )


def read(
    path: str | Path,
    *,
    prior: str | Path | None = None,
    engines: Sequence[str] = (),
    use_case: str = "",
    methods: Sequence[str] = (),
) -> Reading:
    """Read one study: ``reading = radiolucent.read("study/")``.

    Parameters
    ----------
    path : a DICOM file, a folder or a zip that holds one study.
    prior : an earlier study of the same patient.
    engines : names or bundle folders; all installed engines where none is given.
    use_case : whose policy decides which maps are shown (triage, second-reader, diagnosis-support); empty: the default.
    methods : also explain each located finding so, to see how far they agree (`explain.explanation.METHODS`).

    Raises
    ------
    SenderError
        If nothing can be read.
    SetupError
        If the path holds several studies (read them one by one), an engine isn't installed, or there is no such use
        case or method.
    """
    default_gate().use_case(use_case)
    options = Options(use_case=use_case, methods=tuple(find_method(name).key for name in methods))
    loaded = [load_engine(bundle) for bundle in choose_bundles(engines)]
    result = read_path(Path(path), loaded, prior=Path(prior) if prior else None, options=options)
    if len(result.readings) != 1:
        raise SetupError(f"{path} holds {len(result.readings)} studies: name one of them")
    return result.readings[0]
