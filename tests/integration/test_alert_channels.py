"""One alert over each channel to a real receiver: taken once, without patient identity where that has no place."""

from __future__ import annotations

import email
import email.policy
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from radiolucent.errors import FinalDelivery, RetriableDelivery, SetupError
from radiolucent.findings.alert_policy import alert_key
from radiolucent.findings.alerts import alerts
from radiolucent.results.destinations.alert_channels import FhirChannel, Hl7Channel, MailChannel, Notice
from radiolucent.results.destinations.cstore import CStore
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.http import HttpPeer
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.orthanc_flag import OrthancFlag
from radiolucent.results.destinations.package import Package, package_files
from radiolucent.results.destinations.smtp import Smtp
from radiolucent.results.objects import encode_reading
from radiolucent.results.order import OrderFacts
from tests.integration.outgoing import FhirServer, free_port, hanging, mail_server, ris, saying, web
from tests.unit.results.messages import FACTS, Received, readings

READING = readings()["critical"]
ALERT = alerts(READING)[0]
NOTICE = Notice(
    alert=ALERT, key=alert_key(ALERT), at=datetime(2026, 11, 20, 14, 5, tzinfo=UTC), reading=READING, facts=FACTS
)
VIEWER = "https://viewer.example/?study={study}"


def smtp(port: int, **options: Any) -> Smtp:
    usual: dict[str, Any] = {"sender": "ai@hospital.example", "recipients": ("reading-room@hospital.example",)}
    return Smtp(name="mail", host="127.0.0.1", port=port, **{"timeout_s": 20.0, **usual, **options})


def read(content: bytes) -> Any:
    return email.message_from_bytes(content, policy=email.policy.default)


def test_the_ris_gets_the_alert_beside_the_report_and_not_in_its_place() -> None:
    with ris() as receiver:
        channel = Hl7Channel(destination=Mllp(name="ris", host="127.0.0.1", port=receiver.port), viewer_url=VIEWER)
        assert channel.send(NOTICE) == channel.send(NOTICE)
        channel.send(replace(NOTICE, turn="escalation"))
    first, second = [Received.of(data) for data in receiver.kept.values()]
    assert receiver.times == 3
    assert first.field("OBR", 3)[0].startswith("RLA")
    assert first.field("TQ1", 9)[0] == "S"
    told = first.study()
    assert ALERT.message in told["ai-alert"][0]
    assert told["alert-tier"] == (ALERT.tier,)
    assert second.study()["ai-alert"][0].startswith("Not acknowledged: ")
    assert first.field("OBR", 3) == second.field("OBR", 3)


def test_the_ehr_holds_one_communication_that_is_completed_when_it_is_acknowledged() -> None:
    server = FhirServer()
    with web(server.answer) as receiver:
        channel = FhirChannel(destination=FhirRest(peer=HttpPeer(name="ehr", url=receiver.url)), viewer_url=VIEWER)
        channel.send(NOTICE)
        channel.send(NOTICE)
        (kept,) = server.of_type("Communication")
        assert (kept["status"], kept["priority"]) == ("in-progress", "stat")
        channel.send(replace(NOTICE, turn="escalation"))
        (kept,) = server.of_type("Communication")
        assert kept["payload"][0]["contentString"].startswith("Not acknowledged: ")
        channel.send(replace(NOTICE, turn="acknowledged"))
    (kept,) = server.of_type("Communication")
    assert kept["status"] == "completed"
    assert ALERT.message in [part["contentString"] for part in kept["payload"]]


def test_without_a_patient_no_message_is_made_and_a_person_must_act() -> None:
    nobody = replace(NOTICE, facts=OrderFacts())
    with pytest.raises(FinalDelivery, match="patient ID"):
        Hl7Channel(destination=Mllp(name="ris", host="127.0.0.1", port=free_port())).send(nobody)
    with pytest.raises(FinalDelivery, match="patient ID"):
        FhirChannel(destination=FhirRest(peer=HttpPeer(name="ehr", url="http://x.example"))).send(nobody)


def test_a_mail_says_what_to_verify_and_never_who_the_patient_is() -> None:
    with mail_server() as server:
        channel = MailChannel(destination=smtp(server.port, viewer_url=VIEWER))
        assert channel.send(NOTICE) == channel.send(NOTICE)
        channel.send(replace(NOTICE, held=3, turn="escalation"))
    first, second, escalated = [read(content) for content in server.mails]
    assert first["Message-ID"] == second["Message-ID"] != escalated["Message-ID"]
    assert first["Subject"] == ALERT.subject
    assert first["Importance"] == "high"
    text = " ".join(first.get_content().split())
    assert " ".join(ALERT.message.split()) in text
    assert f"https://viewer.example/?study={READING.study_instance_uid}" in text
    assert ALERT.disclaimer in text
    assert escalated["Subject"].strip().startswith("Not acknowledged: ")
    assert "3 more alerts" in escalated.get_content()
    for content in server.mails:
        for secret in ("Phantom", "SYN-7", "ACC-1", "PL-9", "19700101"):
            assert secret.encode() not in content


@pytest.mark.parametrize(
    ("refuse", "kind"),
    [
        ({"MAIL": "451 later"}, RetriableDelivery),
        ({"RCPT": "450 mailbox busy"}, RetriableDelivery),
        ({"end": "452 no room"}, RetriableDelivery),
        ({"MAIL": ""}, RetriableDelivery),
        ({"DATA": ""}, RetriableDelivery),
        ({"MAIL": "550 not from you"}, FinalDelivery),
        ({"RCPT": "550 nobody here"}, FinalDelivery),
        ({"end": "554 refused"}, FinalDelivery),
    ],
)
def test_a_mail_server_that_refuses_or_breaks_off(refuse: dict[str, str], kind: type[Exception]) -> None:
    with mail_server(**refuse) as server, pytest.raises(kind):
        MailChannel(destination=smtp(server.port)).send(NOTICE)
    assert server.mails == []


def test_a_mail_server_that_is_away_hangs_or_is_none() -> None:
    with pytest.raises(RetriableDelivery):
        smtp(free_port()).send(ALERT, key="k", at=NOTICE.at)
    with hanging() as port, pytest.raises(RetriableDelivery):
        smtp(port, timeout_s=1.0).send(ALERT, key="k", at=NOTICE.at)
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(RetriableDelivery):
        smtp(port, timeout_s=2.0).send(ALERT, key="k", at=NOTICE.at)


def test_a_server_without_starttls_gets_no_mail_in_the_clear() -> None:
    with mail_server() as server, pytest.raises(FinalDelivery, match="STARTTLS"):
        smtp(server.port, starttls=ssl.create_default_context()).send(ALERT, key="k", at=NOTICE.at)
    assert server.mails == []


@pytest.mark.parametrize(
    "wrong", [{"recipients": ()}, {"recipients": ("nobody",)}, {"sender": "a@b\r\nBcc: c@d"}, {"sender": ""}]
)
def test_an_address_that_cannot_be_one_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(SetupError):
        smtp(25, **wrong)


def test_a_mail_holds_the_accession_number_only_where_the_site_wants_that() -> None:
    for wanted in (False, True):
        mail = smtp(25, accession=wanted).compose(ALERT, key="k", at=NOTICE.at, accession_number="ACC-1")
        assert ("ACC-1" in mail.get_content()) is wanted


def test_an_alert_that_is_taken_back_says_so_on_every_channel() -> None:
    gone, server = replace(NOTICE, turn="withdrawn"), FhirServer()
    with ris() as receiver, web(server.answer) as ehr, mail_server() as mails:
        for one in (NOTICE, gone):
            Hl7Channel(destination=Mllp(name="ris", host="127.0.0.1", port=receiver.port)).send(one)
            FhirChannel(destination=FhirRest(peer=HttpPeer(name="ehr", url=ehr.url))).send(one)
            MailChannel(destination=smtp(mails.port)).send(one)
    first, second = [Received.of(data) for data in receiver.kept.values()]
    assert first.field("OBR", 3) == second.field("OBR", 3)
    assert {one.status for one in second.observations()} == {"W"}
    (kept,) = server.of_type("Communication")
    assert kept["status"] == "entered-in-error"
    assert read(mails.mails[1])["Subject"].startswith("Taken back: ")


def test_orthanc_shows_a_flag_before_the_study_is_opened(orthanc: Any, cases: Any, tmp_path: Path) -> None:
    case = cases.make_case("cr", seed=21)
    uid = case.reading.study_instance_uid
    flag = OrthancFlag(peer=HttpPeer(name="archive", url=f"http://127.0.0.1:{orthanc.http_port}"))
    with pytest.raises(RetriableDelivery, match="doesn't hold the study yet"):
        flag.flag(uid, "AI 1 critical")
    archive = CStore(name="pacs", host="127.0.0.1", port=orthanc.dicom_port, called_ae="ORTHANC")
    made = encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT)[-1]
    made.dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    archive.deliver(package_files([tmp_path / "one.dcm"], study_instance_uid=uid))

    assert flag.flag(uid, "AI 1 critical: Pneumothorax").delivered == (uid,)
    found = _orthanc_id(orthanc, uid)
    assert orthanc.ask(f"/studies/{found}/metadata/4001") == b"AI 1 critical: Pneumothorax"
    later = package_files([tmp_path / "one.dcm"], study_instance_uid=uid, revision=2, flag="AI 2 urgent: Effusion")
    flag.deliver(later)
    assert orthanc.ask(f"/studies/{found}/metadata/4001") == b"AI 2 urgent: Effusion"
    for _ in range(2):
        flag.deliver(replace(later, flag="", revision=3))
    assert "4001" not in orthanc.ask(f"/studies/{found}/metadata")


def test_a_first_reading_without_urgency_asks_nothing_of_the_archive() -> None:
    away = OrthancFlag(peer=HttpPeer(name="archive", url=f"http://127.0.0.1:{free_port()}"))
    assert away.deliver(Package(study_instance_uid="1.2")).delivered == ()
    with pytest.raises(RetriableDelivery):
        away.deliver(Package(study_instance_uid="1.2", revision=2))


def _orthanc_id(orthanc: Any, uid: str) -> str:
    (found,) = orthanc.ask("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": uid}})
    return str(found)


@pytest.mark.parametrize("wrong", ["7", "1023", "a/b", ""])
def test_metadata_that_belong_to_the_archive_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="metadata"):
        OrthancFlag(peer=HttpPeer(name="archive", url="http://x.example"), metadata=wrong)
