from __future__ import annotations

from dataclasses import fields

import pytest

from radiolucent.ingest.dimse_peer import DimsePeer
from radiolucent.ingest.worklist import Order, find_orders, order_of
from radiolucent.results.order import OrderFacts

PEER = DimsePeer(name="ris", host="127.0.0.1", port=1, called_ae="RIS")
ORDER = Order(patient_id="7", accession_number="A1", placer_order_number="P1", study_instance_uid="1.2")


@pytest.mark.parametrize(
    ("orders", "found"),
    [
        ((), None),
        ((ORDER,), ORDER),
        ((Order(patient_id="8", accession_number="A1", study_instance_uid="1.2"),), None),
        ((Order(patient_id="7", accession_number="A1"),), Order(patient_id="7", accession_number="A1")),
        ((Order(patient_id="7", accession_number="A2"),), None),
        ((ORDER, ORDER), ORDER),
        ((ORDER, Order(patient_id="7", accession_number="A1")), ORDER),
        ((Order(patient_id="7", accession_number="A1", placer_order_number="P9"),) * 1
         + (Order(patient_id="7", accession_number="A1", placer_order_number="P8"),), None),
    ],
)  # fmt: skip
def test_a_study_has_the_one_order_that_fits_or_none(orders: tuple[Order, ...], found: Order | None) -> None:
    assert order_of(orders, accession_number="A1", patient_id="7", study_instance_uid="1.2") == found


def test_without_patient_or_number_no_order_fits() -> None:
    nothing = Order()
    assert order_of((nothing,), accession_number="", patient_id="", study_instance_uid="1.2") is None
    assert order_of((nothing,), accession_number="", patient_id="7", study_instance_uid="") is None


@pytest.mark.parametrize("asked", [{}, {"patient_id": "*"}, {"accession_number": "A?"}, {"accession_number": "A\\B"}])
def test_a_worklist_is_never_asked_for_everybody(asked: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"worklist|wildcard"):
        find_orders(PEER, **asked)


def test_an_order_speaks_the_words_of_the_order_facts() -> None:
    ours = {field.name for field in fields(Order)}
    theirs = {field.name for field in fields(OrderFacts)}
    assert theirs - ours == {"patient_class", "procedure", "study_date", "study_time", "timezone"}


def test_no_order_names_a_patient_when_it_is_shown() -> None:
    assert "Secret" not in repr(Order(patient_name="Secret^Name", patient_id="Secret"))
