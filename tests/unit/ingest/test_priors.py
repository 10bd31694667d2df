from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from radiolucent.errors import QueryFailed
from radiolucent.imaging.kinds import body_part_name
from radiolucent.ingest.pacs import Fetched, SeriesMatch, StudyMatch, StudyQuery, fits, series_match, study_match
from radiolucent.ingest.priors import PriorTerms, choose, comparable, fetch_priors, find_priors
from radiolucent.ingest.receiving import Outcome, Receiver, Way
from tests.unit.ingest.receivers import FolderReceiver


@dataclass(eq=False)
class MemoryPacs:
    """A PACS in memory that matches as PS3.4 C.2.2.2 says."""

    studies: list[StudyMatch] = field(default_factory=list)
    series: dict[str, tuple[SeriesMatch, ...]] = field(default_factory=dict)
    asked: list[StudyQuery] = field(default_factory=list)
    fetched: list[tuple[str, Way]] = field(default_factory=list)
    away: bool = False
    name: str = "memory"

    def find_studies(self, query: StudyQuery) -> tuple[StudyMatch, ...]:
        if self.away:
            raise QueryFailed("memory doesn't answer")
        self.asked.append(query)
        return tuple(one for one in self.studies if fits(one, query))

    def find_series(self, study_instance_uid: str) -> tuple[SeriesMatch, ...]:
        return self.series.get(study_instance_uid, ())

    def fetch(self, study_instance_uid: str, receiver: Receiver, *, way: Way) -> Fetched:
        if self.away:
            raise QueryFailed("memory doesn't answer")
        self.fetched.append((study_instance_uid, way))
        return Fetched(outcomes=Counter({Outcome.STORED: 1}), completed=1)


NOW = StudyMatch(
    study_instance_uid="1.9",
    patient_id="7",
    study_date="20260301",
    study_time="120000",
    modalities=("CT",),
    body_parts=("HEAD",),
)
BEFORE = replace(NOW, study_instance_uid="1.1", study_date="20250101")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"patient_id": "8"}, False),
        ({"patient_id": ""}, False),
        ({"study_instance_uid": "1.9"}, False),
        ({"study_date": "20260302"}, False),
        ({"study_date": ""}, False),
        ({"study_date": "20260301", "study_time": "110000"}, True),
        ({"study_date": "20260301", "study_time": "130000"}, False),
        ({"modalities": ("MR",)}, False),
        ({"modalities": ("MR", "CT")}, True),
        ({"modalities": ()}, True),
        ({"body_parts": ("BRAIN",)}, True),
        ({"body_parts": ("KNEE",)}, False),
        ({"body_parts": ("KNEE", "HEAD")}, True),
        ({"body_parts": ()}, True),
        ({"body_parts": ("UNHEARD OF",)}, True),
    ],
)
def test_an_earlier_study_is_comparable_or_not(changes: dict[str, object], wanted: bool) -> None:
    assert comparable(NOW, replace(BEFORE, **changes)) == wanted  # type: ignore[arg-type]


def test_patients_of_other_issuers_are_other_patients() -> None:
    ours = replace(NOW, issuer_of_patient_id="A")
    assert comparable(ours, replace(BEFORE, issuer_of_patient_id="A"))
    assert comparable(ours, BEFORE)
    assert not comparable(ours, replace(BEFORE, issuer_of_patient_id="B"))


def test_radiographs_of_either_kind_are_compared_with_each_other() -> None:
    assert comparable(replace(NOW, modalities=("DX",)), replace(BEFORE, modalities=("CR",)))


def test_the_latest_of_the_same_body_part_come_first() -> None:
    unsaid = replace(BEFORE, study_instance_uid="1.2", study_date="20251231", body_parts=())
    old = replace(BEFORE, study_instance_uid="1.3", study_date="20240101")
    ancient = replace(BEFORE, study_instance_uid="1.4", study_date="20100101")
    found = choose(NOW, [ancient, unsaid, old, BEFORE], PriorTerms(most=3, oldest_days=1000))
    assert [one.study_instance_uid for one in found] == ["1.1", "1.3", "1.2"]


@given(st.lists(st.builds(
    StudyMatch,
    study_instance_uid=st.sampled_from([f"1.{n}" for n in range(12)]),
    patient_id=st.sampled_from(["7", "8", ""]),
    study_date=st.sampled_from(["", "20200101", "20260228", "20260301", "20270101"]),
    modalities=st.sampled_from([("CT",), ("MR",), ()]),
    body_parts=st.sampled_from([("HEAD",), ("KNEE",), ()]),
), max_size=12), st.integers(0, 4))  # fmt: skip
def test_no_choice_holds_another_patient_or_a_later_study(studies: list[StudyMatch], most: int) -> None:
    found = choose(NOW, studies, PriorTerms(most=most))
    assert len(found) <= most
    assert all(one.patient_id == "7" and "" < one.study_date <= "20260301" for one in found)


def test_priors_that_are_here_are_not_fetched_again(tmp_path: Path) -> None:
    other = replace(BEFORE, study_instance_uid="1.2", study_date="20250601")
    pacs = MemoryPacs(studies=[NOW, BEFORE, other])
    pacs.series = {uid: (SeriesMatch(series_instance_uid=f"{uid}.1", body_part="HEAD"),) for uid in ("1.1", "1.2")}
    brought = fetch_priors(pacs, NOW, FolderReceiver(tmp_path), is_here=lambda uid: uid == "1.2")
    assert [(one.study_instance_uid, fetched is not None) for one, fetched in brought] == [
        ("1.2", False),
        ("1.1", True),
    ]
    assert pacs.fetched == [("1.1", Way.PRIOR)]


def test_the_series_say_which_body_part_and_modality_a_study_shows() -> None:
    knee, head = replace(BEFORE, study_instance_uid="1.2", modalities=()), replace(BEFORE, body_parts=())
    pacs = MemoryPacs(studies=[knee, head])
    pacs.series = {
        "1.2": (SeriesMatch(series_instance_uid="1.2.1", modality="CT", body_part="KNEE"),),
        "1.1": (SeriesMatch(series_instance_uid="1.1.1", modality="CT", body_part="HEAD"),),
    }
    assert [one.study_instance_uid for one in find_priors(pacs, NOW, PriorTerms())] == ["1.1"]


@pytest.mark.parametrize(
    "changes", [{"patient_id": ""}, {"patient_id": "*"}, {"study_date": ""}, {"modalities": ()}, {"patient_id": "7\\8"}]
)
def test_nothing_is_asked_where_the_patient_is_not_known(changes: dict[str, object]) -> None:
    pacs = MemoryPacs(studies=[BEFORE])
    assert find_priors(pacs, replace(NOW, **changes), PriorTerms()) == ()  # type: ignore[arg-type]
    assert pacs.asked == []


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({}, "narrowed"),
        ({"patient_id": "*"}, "wildcard"),
        ({"study_instance_uid": "1.2\\1.3"}, "wildcard"),
        ({"accession_number": "a?"}, "wildcard"),
        ({"date_from": "2026-01-01"}, "form"),
    ],
)
def test_a_query_that_would_find_everybody_is_refused(wrong: dict[str, str], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        StudyQuery(**wrong)


def test_no_value_names_a_patient_when_it_is_shown() -> None:
    for shown in (StudyQuery(patient_id="SECRET"), replace(NOW, patient_id="SECRET")):
        assert "SECRET" not in repr(shown)


def test_answers_that_name_no_study_or_series_are_left_out() -> None:
    bad = Dataset()
    bad.StudyInstanceUID = bad.SeriesInstanceUID = ""
    assert (study_match(bad), series_match(bad)) == (None, None)


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")
def test_an_answer_is_read_as_it_is_and_nothing_is_guessed() -> None:
    answer = Dataset()
    answer.StudyInstanceUID, answer.PatientID, answer.StudyDate = "1.2", "7", "1.1.2020"
    answer.ModalitiesInStudy, answer.NumberOfStudyRelatedInstances = ["CT", "SR"], None
    assert study_match(answer) == StudyMatch(study_instance_uid="1.2", patient_id="7", modalities=("CT", "SR"))


def test_body_parts_have_one_word() -> None:
    assert body_part_name("Skull") == body_part_name("HEAD") == "head"
