"""What a site may set of messages and alerts: complete for its kind, told apart by name, quiet by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from radiolucent.errors import SetupError
from radiolucent.settings import load_settings
from radiolucent.settings.telling import AlertChannelSettings, AlertSettings

MAIL: dict[str, Any] = {
    "name": "room",
    "kind": "mail",
    "sender": "ai@hospital.example",
    "recipients": ["room@hospital.example"],
}


def test_a_mail_holds_no_link_and_no_accession_number_unless_a_site_says_so() -> None:
    one = AlertChannelSettings(**MAIL)
    assert (one.link, one.accession, one.gets, one.per_hour) == (False, False, "both", 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"recipients": []}, "needs recipients"),
        ({"sender": ""}, "needs sender"),
        ({"kind": "hl7"}, "needs destination"),
        ({"recipients": ["nobody"]}, "recipients"),
        ({"least_urgent": 5}, "least_urgent"),
        ({"tiers": ["D"]}, "tiers"),
        ({"per_hour": -1}, "per_hour"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        AlertChannelSettings(**{**MAIL, **change})


def test_two_channels_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two channels are named 'room'"):
        AlertSettings(channels=(AlertChannelSettings(**MAIL), AlertChannelSettings(**MAIL)))


def test_the_file_of_a_site_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    place = tmp_path / "settings.toml"
    place.write_text(
        '[messages]\nfhir_release = "R5"\n[[alerts.channels]]\nname = "lead"\nkind = "fhir"\ndestination = "ehr"\n'
        'gets = "escalation"\n[[destinations]]\nname = "list"\nkind = "orthanc-flag"\nurl = "http://127.0.0.1:8042"\n',
        encoding="utf-8",
    )
    made = load_settings(place)
    assert (made.messages.fhir_release, made.alerts.channels[0].gets) == ("R5", "escalation")
    assert (made.destinations[0].kind, made.destinations[0].metadata) == ("orthanc-flag", "4001")
    place.write_text('[[alerts.channels]]\nname = "lead"\nkind = "pigeon"\n', encoding="utf-8")
    with pytest.raises(SetupError, match=r"alerts\.channels\.0\.kind"):
        load_settings(place)
