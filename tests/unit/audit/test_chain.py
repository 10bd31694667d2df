"""The chain shows every change, deletion, insertion and re-order."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from radiolucent.audit.chain import GENESIS, Anchor, Entry, link, verify


def _chain(bodies: list[str]) -> list[Entry]:
    entries: list[Entry] = []
    for number, body in enumerate(bodies, start=1):
        entries.append(link(number, "login", body, previous=entries[-1].digest if entries else GENESIS))
    return entries


BODIES = st.lists(st.text(max_size=8), min_size=2, max_size=8)


@given(BODIES)
def test_an_untouched_chain_holds(bodies: list[str]) -> None:
    chain = _chain(bodies)
    verdict = verify(chain, anchors=[Anchor(number=len(chain), digest=chain[-1].digest)])
    assert (verdict.holds, verdict.entries) == (True, len(bodies))


def test_an_empty_chain_holds() -> None:
    assert verify([]).holds


@given(BODIES, st.data())
def test_a_changed_entry_is_found_where_it_stands(bodies: list[str], data: st.DataObject) -> None:
    chain = _chain(bodies)
    place = data.draw(st.integers(0, len(chain) - 1))
    field = data.draw(st.sampled_from(["kind", "body", "previous", "digest"]))
    chain[place] = replace(chain[place], **{field: getattr(chain[place], field) + "x"})
    verdict = verify(chain)
    assert not verdict.holds
    assert verdict.at == place + 1


@given(BODIES, st.data())
def test_a_deleted_entry_is_found(bodies: list[str], data: st.DataObject) -> None:
    chain = _chain(bodies)
    place = data.draw(st.integers(0, len(chain) - 1))
    anchor = Anchor(number=len(chain), digest=chain[-1].digest)
    del chain[place]
    assert verify(chain, anchors=[anchor]).at == place + 1


@given(BODIES, st.data())
def test_two_entries_in_another_order_are_found(bodies: list[str], data: st.DataObject) -> None:
    chain = _chain(bodies)
    place = data.draw(st.integers(0, len(chain) - 2))
    chain[place], chain[place + 1] = chain[place + 1], chain[place]
    assert verify(chain).at == place + 1


@given(BODIES, st.data())
def test_an_entry_that_was_changed_with_its_digest_is_found_by_the_next(bodies: list[str], data: st.DataObject) -> None:
    chain = _chain(bodies)
    place = data.draw(st.integers(0, len(chain) - 2))
    old = chain[place]
    chain[place] = link(old.number, old.kind, old.body + "x", previous=old.previous)
    assert verify(chain).at == place + 2


def test_a_chain_made_anew_is_found_by_an_anchor() -> None:
    chain, other = _chain(["a", "b", "c"]), _chain(["a", "x", "c"])
    assert verify(other).holds
    verdict = verify(other, anchors=[Anchor(number=2, digest=chain[1].digest)])
    assert "made anew" in verdict.fault


def test_entries_cut_off_the_end_are_found_by_an_anchor() -> None:
    chain = _chain(["a", "b", "c"])
    verdict = verify(chain[:2], anchors=[Anchor(number=3, digest=chain[2].digest)])
    assert (verdict.at, verdict.entries) == (3, 2)
