"""Which studies show the same kind of thing: body parts as headers name them, and modalities that are alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from radiolucent.imaging.terms import BODY_PART, BODY_PARTS

_ALIKE: Final = (frozenset({"CR", "DX", "DR", "RG"}),)
"""Modalities whose images can be compared with each other; every other only with itself."""


def body_part_name(words: str) -> str:
    """Our word for a body part as a header names it, or empty where it isn't known.

    >>> body_part_name("BRAIN") == body_part_name("brain") != ""
    True
    >>> body_part_name("FOO")
    ''
    """
    term = words.upper().replace(" ", "")
    return next((part.name for part in BODY_PARTS if term in part.terms or term == part.name.upper()), "")


def body_parts_meet(ours: Iterable[str], theirs: Iterable[str]) -> bool:
    """Whether two studies may show the same part of the body.

    A part that either doesn't say excludes nothing; ones that both say must agree (a part within another does).

    >>> body_parts_meet(["BRAIN"], ["HEAD"]), body_parts_meet(["HEAD"], ["CHEST"]), body_parts_meet(["HEAD"], [])
    (True, False, True)
    """
    one = {body_part_name(part) for part in ours} - {""}
    other = {body_part_name(part) for part in theirs} - {""}
    if not one or not other:
        return True
    return bool(_widened(one) & other or _widened(other) & one)


def modalities_like(modalities: Iterable[str]) -> frozenset[str]:
    """These modalities and those whose images can be compared with theirs.

    >>> sorted(modalities_like(["DX"])), sorted(modalities_like(["CT"]))
    (['CR', 'DR', 'DX', 'RG'], ['CT'])
    """
    found = frozenset(one for one in modalities if one)
    for group in _ALIKE:
        if found & group:
            found |= group
    return found


def _widened(names: set[str]) -> set[str]:
    """The names and what each lies within."""
    found = set(names)
    for name in names:
        while name := BODY_PART[name].within:
            found.add(name)
    return found
