"""One test a row: what each status of a peer means for the next attempt."""

import pytest

from radiolucent.results.destinations.statuses import commitment_reason, http_meaning, smtp_meaning, store_status


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007, 0xB123])
def test_a_success_a_warning_and_a_duplicate_mean_that_the_peer_has_it(status: int) -> None:
    assert store_status(status)[0] == "delivered"


@pytest.mark.parametrize("status", [0x0110, 0x0210, 0x0213, 0xA700, 0xA7FF, 0x7777])
def test_a_fault_or_a_lack_of_room_may_pass(status: int) -> None:
    assert store_status(status)[0] == "retriable"


@pytest.mark.parametrize(
    "status",
    [
        *(0x0105, 0x0106, 0x0117, 0x0118, 0x0119, 0x0120, 0x0121, 0x0122),
        *(0x0124, 0x0131, 0x0211, 0x0212, 0xA800, 0xA900, 0xC000, 0xCFFF),
    ],
)
def test_what_is_wrong_with_the_object_stays_wrong(status: int) -> None:
    assert store_status(status)[0] == "final"


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        (0x0110, "retriable"),
        (0x0112, "retriable"),
        (0x0131, "retriable"),
        (0x0213, "retriable"),
        (0x9999, "retriable"),
        (0x0119, "final"),
        (0x0122, "final"),
    ],
)
def test_a_failure_reason_of_storage_commitment(reason: int, meaning: str) -> None:
    assert commitment_reason(reason)[0] == meaning


@pytest.mark.parametrize("status", range(100, 600))
def test_only_2xx_is_delivered_and_no_redirection_is_followed(status: int) -> None:
    assert (http_meaning(status) == "delivered") == (200 <= status < 300)
    if status < 400 and not 200 <= status < 300:
        assert http_meaning(status) == "final"


@pytest.mark.parametrize(("code", "meaning"), [(250, "delivered"), (354, "delivered"), (450, "retriable")])
def test_an_smtp_code(code: int, meaning: str) -> None:
    assert smtp_meaning(code) == meaning
    assert smtp_meaning(550) == smtp_meaning(552) == "final"
    assert smtp_meaning(-1) == "retriable"
