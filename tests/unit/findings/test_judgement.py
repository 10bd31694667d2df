"""A reading judged as a whole: every finding gets its level, its reasons and the version of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from radiolucent.findings.judgement import default_tables, judge
from radiolucent.findings.reading import Finding, Localisation, Reading, Region
from radiolucent.findings.urgency import level_number

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]
EVERYWHERE = np.ones((4, 4), dtype=np.float32)
BOX = {"2.25.100": (0, 0, 64, 64)}


def test_positive_findings_are_graded_and_others_are_level_5(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = a_reading(a_finding(stability=1.0), a_finding("meningioma", positive=False, probability=0.1))
    judged = judge(reading, bundle_priors={("brain-mri", "glioma"): EVERYWHERE}, body_boxes=BOX)
    glioma, meningioma = judged.findings
    assert glioma.urgency is not None
    assert glioma.confidence is not None
    assert meningioma.urgency is not None
    assert (glioma.urgency.level, glioma.confidence.level) == ("2 urgent", "high")
    assert (meningioma.urgency.level, meningioma.confidence) == ("5 no finding above threshold", None)
    assert (glioma.change, judged.prior_study_instance_uid) == (None, "")


def test_nothing_else_of_the_reading_changes(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = a_reading(a_finding(), problems=(), software="radiolucent 0")
    judged = judge(reading, bundle_priors={}, body_boxes={})
    ungraded = [replace(finding, urgency=None, confidence=None) for finding in judged.findings]
    assert ungraded == list(reading.findings)
    assert replace(judged, series=reading.series) == reading


def test_without_prior_map_or_body_box_confidence_stays_below_high(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    reading = a_reading(a_finding(probability=0.99, stability=1.0))
    for priors, boxes in (({("brain-mri", "glioma"): EVERYWHERE}, {}), ({}, BOX)):
        judged = judge(reading, bundle_priors=priors, body_boxes=boxes)
        assert judged.findings[0].confidence is not None
        assert judged.findings[0].confidence.level == "moderate"


def test_evidence_outside_the_prior_is_low(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    nowhere = np.zeros((4, 4), dtype=np.float32)
    judged = judge(a_reading(a_finding()), bundle_priors={("brain-mri", "glioma"): nowhere}, body_boxes=BOX)
    assert judged.findings[0].confidence is not None
    assert judged.findings[0].confidence.level == "low"
    assert "review: unexpected site" in judged.findings[0].confidence.reasons


def test_a_prior_map_of_another_engine_is_not_asked(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    nowhere = np.zeros((4, 4), dtype=np.float32)
    judged = judge(a_reading(a_finding()), bundle_priors={("head-ct", "glioma"): nowhere}, body_boxes=BOX)
    assert judged.findings[0].confidence is not None
    assert "review: unexpected site" not in judged.findings[0].confidence.reasons


def test_change_against_the_prior_goes_into_urgency(
    a_finding: MakeFinding,
    a_reading: MakeReading,
    a_region: Callable[..., Region],
    a_localisation: Callable[..., Localisation],
) -> None:
    before, now = (
        a_reading(
            a_finding("subdural-haemorrhage", localisation=a_localisation(a_region(volume_ml=volume))),
            study_instance_uid=uid,
        )
        for volume, uid in ((9.0, "2.25.8"), (9.5, "2.25.9"))
    )
    judged = judge(now, bundle_priors={}, body_boxes={}, prior=before, midline_shift_mm=1.0)
    finding = judged.findings[0]
    assert (finding.change, level_number(finding.urgency)) == ("unchanged", 2)
    assert judged.prior_study_instance_uid == "2.25.8"


def test_the_company_of_a_finding_counts(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    judged = judge(
        a_reading(a_finding("pneumothorax"), a_finding("tension-pneumothorax")), bundle_priors={}, body_boxes={}
    )
    assert [level_number(finding.urgency) for finding in judged.findings] == [1, 1]


def test_judging_twice_changes_nothing(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    once = judge(a_reading(a_finding()), bundle_priors={}, body_boxes={}, tables=default_tables())
    assert judge(once, bundle_priors={}, body_boxes={}) == once
