"""Intended use: where localisation is off nothing of a place is left, whatever the finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radiolucent.findings.confidence import review_reason
from radiolucent.findings.judgement import judge
from radiolucent.findings.narrative import texts, write
from radiolucent.findings.profile import Profile, apply, default_profile, site_profile
from radiolucent.findings.reading import Finding, Localisation, Reading, Region
from radiolucent.findings.tables import InvalidTable

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]
CASE_LEVEL = Profile(version="x", site="s", default="case-level", findings={"glioma": "localise"})
NOTIFY = Profile(version="x", site="s", default="notify", findings={})


@pytest.fixture(scope="session")
def judged(
    a_finding: MakeFinding,
    a_reading: MakeReading,
    a_region: Callable[..., Region],
    a_localisation: Callable[..., Localisation],
) -> Reading:
    small = a_localisation(a_region(volume_ml=4.0))
    prior = a_reading(a_finding("nodule", localisation=small), a_finding(localisation=small))
    reading = a_reading(a_finding("nodule"), a_finding(), a_finding("meningioma", positive=False))
    nowhere = {("brain-mri", "nodule"): np.zeros((2, 2), dtype=np.float32)}
    return judge(reading, bundle_priors=nowhere, body_boxes={"2.25.100": (0, 0, 64, 64)}, prior=prior)


def finding(reading: Reading, name: str) -> Finding:
    return next(finding for finding in reading.findings if finding.name == name)


def test_the_packaged_profile_changes_nothing(judged: Reading) -> None:
    assert apply(judged, default_profile()) == judged


@pytest.mark.parametrize("profile", [CASE_LEVEL, NOTIFY], ids=["case-level", "notify"])
def test_nothing_of_the_place_is_left(judged: Reading, profile: Profile) -> None:
    limited = finding(apply(judged, profile), "nodule")
    assert not limited.heatmap.evidence.any()
    assert limited.heatmap.empty
    assert limited.frame_logits == ()
    assert limited.localisation is not None
    assert (limited.localisation.status, limited.localisation.regions) == ("withheld", ())
    assert (limited.localisation.peak_frame, limited.localisation.laterality) == (None, "unknown")
    assert limited.change_note == ""
    assert (limited.explanation, limited.measurements) == (None, ())
    reasons = " ".join(graded for kind in (limited.urgency, limited.confidence) if kind for graded in kind.reasons)
    for word in ("mm", "ml", "lung fields", "inside the body", "focal"):
        assert word not in reasons.replace("under 6 mm", "")


def test_the_report_of_a_limited_reading_names_no_place(judged: Reading) -> None:
    for language, words in (("en", ("left", "slice", "evidence over")), ("de", ("links", "Schicht", "Ausdehnung"))):
        text = "\n".join(texts(write(apply(judged, NOTIFY), language))).split("brain-mri@1.0.0: ")[0]
        assert [word for word in words if word in text] == []
    assert "left" in write(judged).findings_text


def test_case_level_keeps_score_urgency_confidence_and_change(judged: Reading) -> None:
    before, after = finding(judged, "nodule"), finding(apply(judged, CASE_LEVEL), "nodule")
    assert (after.probability, after.score, after.positive, after.change) == (0.9, 0.88, True, "larger")
    assert before.urgency is not None
    assert after.urgency is not None
    assert after.confidence is not None
    assert (after.urgency.level, after.confidence.level) == (before.urgency.level, "low")
    assert review_reason(before.confidence) == "outside the lung fields"
    assert review_reason(after.confidence) == "place and result disagree"


def test_notify_keeps_the_finding_and_its_urgency(judged: Reading) -> None:
    limited = finding(apply(judged, NOTIFY), "nodule")
    assert (limited.confidence, limited.change) == (None, None)
    assert limited.urgency is not None
    assert limited.positive


def test_single_findings_can_be_localised_where_others_are_not(judged: Reading) -> None:
    limited = apply(judged, CASE_LEVEL)
    assert finding(limited, "glioma") == finding(judged, "glioma")
    assert not finding(limited, "meningioma").heatmap.evidence.any()
    assert finding(limited, "meningioma").localisation is None


def test_a_map_of_a_negative_finding_does_not_leave_either(judged: Reading) -> None:
    assert finding(judged, "meningioma").heatmap.evidence.any()
    assert not finding(apply(judged, NOTIFY), "meningioma").heatmap.evidence.any()


@pytest.mark.parametrize("profile", [CASE_LEVEL, NOTIFY], ids=["case-level", "notify"])
def test_applying_it_twice_changes_nothing_more(judged: Reading, profile: Profile) -> None:
    once = apply(judged, profile)
    for first, second in zip(once.findings, apply(once, profile).findings, strict=True):
        assert (first.localisation, first.confidence, first.urgency) == (
            second.localisation,
            second.confidence,
            second.urgency,
        )
        np.testing.assert_array_equal(first.heatmap.evidence, second.heatmap.evidence)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('version="1"\nsite="s"\ndefault="localise"\n[findings]\nglioblastoma="notify"', "no finding of the taxonomy"),
        ('version="1"\nsite="s"\ndefault="locate"\n[findings]\n', "default"),
    ],
)
def test_a_profile_with_a_fault_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "profile.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidTable, match=why):
        site_profile(path)
