"""Every state says what it means, and every road has an end."""

import pytest

from radiolucent.store.states import (
    ALERT_STATES,
    DELIVERY_STATES,
    INSTANCE_STATES,
    REVISION_STATES,
    STUDY_STATES,
    State,
    names,
)


@pytest.mark.parametrize("table", [STUDY_STATES, INSTANCE_STATES, REVISION_STATES, DELIVERY_STATES, ALERT_STATES])
def test_states_are_told_apart_and_explained(table: tuple[State, ...]) -> None:
    assert len(set(names(table))) == len(table)
    assert all(len(state.meaning) > 10 for state in table)
    assert set(names(table, terminal=True)) | set(names(table, terminal=False)) == set(names(table))
    assert names(table, terminal=True)
