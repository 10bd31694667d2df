"""A UID follows from its parts and is valid."""

import uuid

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from radiolucent.imaging.uids import derived_uid

PARTS = st.lists(st.text(max_size=20), min_size=1, max_size=4)


@given(PARTS)
def test_a_derived_uid_is_valid_and_a_uuid(parts: list[str]) -> None:
    uid = derived_uid(*parts)
    assert UID(uid).is_valid
    assert uuid.UUID(int=int(uid.removeprefix("2.25."))).version == 5


@given(PARTS, PARTS)
def test_only_the_same_parts_give_the_same_uid(one: list[str], other: list[str]) -> None:
    same = "\x1f".join(one) == "\x1f".join(other)
    assert (derived_uid(*one) == derived_uid(*other)) == same
