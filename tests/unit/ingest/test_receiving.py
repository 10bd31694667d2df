from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from radiolucent.errors import UnreadableFile
from radiolucent.ingest.receiving import ANSWERS, Outcome, ReceivedInstance, Way, http_status, identify, is_uid
from tests.unit.ingest.receivers import FolderReceiver, small_object, write_object


def _identify(path: Path, expected: dict[str, str] | None = None) -> ReceivedInstance:
    return identify(path, way=Way.C_STORE, association_id="1", expected=expected or {})


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_status_that_the_storage_service_knows(outcome: Outcome) -> None:
    answer = ANSWERS[outcome]
    category, _ = STORAGE_SERVICE_CLASS_STATUS[answer.dimse_status]
    assert category == ("Success" if answer.accepted else "Failure")
    assert answer.accepted == (answer.http_status == 200)
    assert len(answer.comment) <= 64
    assert bool(answer.comment) != answer.accepted


@given(st.lists(st.sampled_from(Outcome), min_size=1))
def test_a_request_succeeds_only_where_every_instance_is_safe(outcomes: list[Outcome]) -> None:
    accepted = [ANSWERS[outcome].accepted for outcome in outcomes]
    status = http_status(outcomes)
    assert (status == 200) == all(accepted)
    assert (status == 202) == (any(accepted) and not all(accepted))
    assert (status >= 400) == (not any(accepted))


def test_an_object_is_identified_by_its_header(tmp_path: Path) -> None:
    sent = small_object(3)
    found = _identify(write_object(tmp_path / "a", sent))
    assert (found.sop_class_uid, found.sop_instance_uid) == (sent.SOPClassUID, sent.SOPInstanceUID)
    assert (found.study_instance_uid, found.series_instance_uid) == (sent.StudyInstanceUID, sent.SeriesInstanceUID)
    assert found.transfer_syntax_uid == sent.file_meta.TransferSyntaxUID
    assert found.size_bytes == (tmp_path / "a").stat().st_size


def test_the_digest_is_of_the_data_set_and_not_of_what_a_sender_writes_before_it(tmp_path: Path) -> None:
    first, other = small_object(1), small_object(1)
    other.file_meta.SourceApplicationEntityTitle = "ANOTHER"
    other.file_meta.ImplementationVersionName = "ELSE"
    changed = small_object(1)
    changed.PatientComments = "corrected"
    digests = [
        _identify(write_object(tmp_path / str(at), one)).digest for at, one in enumerate((first, other, changed))
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_transfer_syntax_is_the_one_of_the_file(tmp_path: Path, syntax: UID) -> None:
    path = write_object(tmp_path / "a", small_object(1))
    changed = dcmread(path)
    changed.file_meta.TransferSyntaxUID = syntax
    changed.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    assert _identify(path).transfer_syntax_uid == syntax


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize(
    "value", ["", "../../../etc/passwd", "<script>alert(1)</script>", "1.2.3/../4", "1..2", "1." * 40 + "1", "1.2 .3"]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_identifier_that_is_no_uid_is_refused_without_being_repeated(
    tmp_path: Path, keyword: str, value: str
) -> None:
    bad = small_object(1)
    setattr(bad, keyword, value)
    bad.file_meta.MediaStorageSOPClassUID, bad.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3"), UID("1.2.4")
    path = write_object(tmp_path / "a", bad)
    with pytest.raises(UnreadableFile) as refused:
        _identify(path)
    assert (refused.value.code, refused.value.tag) == ("no-identity", keyword)
    assert not value or value not in str(refused.value)
    assert "Secret" not in str(refused.value)


def test_another_object_than_the_announced_one_is_refused(tmp_path: Path) -> None:
    path = write_object(tmp_path / "a", small_object(1))
    with pytest.raises(UnreadableFile) as refused:
        _identify(path, {"SOPInstanceUID": "1.2.3"})
    assert refused.value.code == "other-identity"


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = write_object(tmp_path / "a", small_object(1))
    whole = path.read_bytes()
    for length in (0, 100, 200, 400, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableFile):
            _identify(path)


@given(st.text(max_size=70))
def test_what_passes_as_a_uid_is_safe_in_a_path(value: str) -> None:
    if is_uid(value):
        assert Path("/a", value).resolve() == Path("/a") / value
        assert set(value) <= set("0123456789.")


def test_the_folder_of_the_tests_keeps_the_promises_of_a_receiver(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept", limit_bytes=2500)

    def offer(number: int, comment: str = "") -> Outcome:
        dataset = small_object(number)
        dataset.PatientComments = comment
        return receiver.receive(_identify(write_object(tmp_path / "a", dataset)))

    assert [offer(1), offer(1), offer(1, "x"), offer(2), offer(3)] == [
        Outcome.STORED,
        Outcome.DUPLICATE,
        Outcome.CONFLICT,
        Outcome.STORED,
        Outcome.OUT_OF_SPACE,
    ]


def test_the_conformance_statement_has_the_same_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text(encoding="utf-8")
    for outcome, answer in ANSWERS.items():
        assert f"| {outcome.value} | 0x{answer.dimse_status:04X} | {answer.http_status} |" in page
