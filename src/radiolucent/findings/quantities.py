"""Measured quantities in words: midline shift of a series, blood of a finding, or why there is no number."""

from __future__ import annotations

from radiolucent.findings.phrases import Phrases
from radiolucent.findings.reading import Measurement


def in_words(one: Measurement, words: Phrases) -> str:
    """One quantity as a sentence without full stop, in the language of `words`.

    >>> from radiolucent.findings.phrases import phrases
    >>> shift = Measurement(name="midline-shift", value=6.25, unit="mm", note="", side="left")
    >>> in_words(shift, phrases("en"))
    'midline shift about 6 mm to the left (measured by software on the image)'
    >>> in_words(Measurement(name="blood-volume", value=None, unit="ml", note="no HU"), phrases("en"))
    'volume of fresh blood: not measured (no HU)'
    """
    label = words.words[one.name.replace("-", "_")]
    if one.value is None:
        return f"{label}: {words.words['not_measured']} ({words.words['original']}{one.note})"
    digits = 1 if one.unit == "ml" and one.value < 10 else 0
    text = f"{label} {words.words['about']} {words.number(one.value, digits)} {one.unit}"
    if one.side in ("left", "right"):
        text += f" {words.words['to_the_' + one.side]}"
    return f"{text} ({words.words['measured']})"
