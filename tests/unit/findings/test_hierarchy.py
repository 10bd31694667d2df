"""Order of findings and which heatmaps open by themselves."""

from __future__ import annotations

from collections.abc import Callable

from radiolucent.findings.hierarchy import open_heatmaps, ranked
from radiolucent.findings.judgement import judge
from radiolucent.findings.reading import Finding, Graded, Localisation, Reading

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]


def names(reading: Reading) -> list[str]:
    return [entry.finding.name for entry in ranked(reading)]


def judged(reading: Reading) -> Reading:
    return judge(reading, bundle_priors={}, body_boxes={})


def test_urgency_comes_before_probability(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = judged(
        a_reading(
            a_finding("nodule", probability=0.99),
            a_finding("tension-pneumothorax", probability=0.6),
            a_finding("effusion", positive=False),
        )
    )
    assert names(reading) == ["tension-pneumothorax", "nodule"]
    assert [entry.rank for entry in ranked(reading)] == [1, 2]


def test_at_the_same_urgency_the_surer_one_then_the_likelier_one_comes_first(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    def sure(name: str, level: str, probability: float) -> Finding:
        graded = Graded(level=level, reasons=(), table_version="")
        urgency = Graded(level="3 soon", reasons=(), table_version="")
        return a_finding(name, probability=probability, confidence=graded, urgency=urgency)

    reading = a_reading(sure("mass", "low", 0.99), sure("nodule", "high", 0.8), sure("effusion", "high", 0.9))
    assert names(reading) == ["effusion", "nodule", "mass"]


def test_the_specific_finding_comes_before_its_umbrella(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = judged(
        a_reading(a_finding("any-haemorrhage", probability=0.99), a_finding("subdural-haemorrhage", probability=0.6))
    )
    assert names(reading) == ["subdural-haemorrhage", "any-haemorrhage"]


def test_at_most_two_heatmaps_open_and_the_second_only_if_it_is_urgent(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    critical = [a_finding(name) for name in ("subdural-haemorrhage", "epidural-haemorrhage", "acute-infarct")]
    assert [entry.rank for entry in open_heatmaps(judged(a_reading(*critical)))] == [1, 2]
    mixed = judged(a_reading(a_finding("glioma"), a_finding("meningioma")))
    assert [entry.finding.name for entry in open_heatmaps(mixed)] == ["glioma"]


def test_only_located_findings_open_a_heatmap(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    nowhere = a_finding("acute-infarct", localisation=Localisation(status="empty"))
    opened = open_heatmaps(judged(a_reading(nowhere, a_finding("glioma"))))
    assert [entry.finding.name for entry in opened] == ["glioma"]
    assert open_heatmaps(a_reading()) == ()
