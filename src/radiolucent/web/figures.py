"""Figures in sections: each with n and interval, as a table, as CSV and as JSON from the same numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from radiolucent.monitor.measures import Measured, wilson


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A share with its interval, or a number where `unit` isn't empty."""

    name: str
    measured: Measured
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What its figures are of, and they; `withheld` says why they aren't told."""

    keys: tuple[str | int, ...] = ()
    figures: tuple[Figure, ...] = ()
    withheld: str = ""

    def figure(self, name: str) -> Figure | None:
        """The figure of this name."""
        return next((one for one in self.figures if one.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table of a page, with the pictures of its numbers.

    Parameters
    ----------
    name : in addresses: ``/monitoring/NAME.csv``.
    words : what the figures are, and what they are not.
    folded : whether the table waits behind its picture.
    keys : heads of the columns that say what a row is of; without any, each row is one figure under its own name.
    """

    name: str
    title: str
    words: str
    keys: tuple[str, ...] = ()
    rows: Sequence[Row] = ()
    pictures: Sequence[tuple[str, Markup]] = field(default=())
    folded: bool = False

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the figures, where the rows have the same ones."""
        return tuple(dict.fromkeys(one.name for row in self.rows for one in row.figures)) if self.keys else ()


def share(name: str, successes: int, n: int) -> Figure:
    """A share with its 95 % interval."""
    return Figure(name=name, measured=wilson(successes, n))


def number(name: str, measured: Measured, unit: str) -> Figure:
    """A number in a unit."""
    return Figure(name=name, measured=measured, unit=unit)


def count(name: str, n: int, unit: str) -> Figure:
    """How many of something."""
    return Figure(name=name, measured=Measured(value=n, low=None, high=None, n=n), unit=unit)


def as_csv(section: Section) -> str:
    """One line a figure, or one a row where rows have no figures."""
    out = io.StringIO()
    writer = csv.writer(out)
    told = any(row.figures for row in section.rows) or not section.keys
    writer.writerow([*section.keys, *(("figure", "value", "low", "high", "n", "unit") if told else ())])
    for row in section.rows:
        if not told:
            writer.writerow(row.keys)
        for one in row.figures:
            writer.writerow([*row.keys, one.name, *_cells(one.measured), one.unit])
    return out.getvalue()


def as_json(section: Section) -> dict[str, Any]:
    """The same for a program."""
    return {
        "name": section.name,
        "title": section.title,
        "what": section.words,
        "rows": [
            {
                "of": dict(zip(section.keys, row.keys, strict=True)),
                "withheld": row.withheld,
                "figures": [{"figure": one.name, **vars(one.measured), "unit": one.unit} for one in row.figures],
            }
            for row in section.rows
        ],
    }


def as_prometheus(sections: Iterable[Section]) -> str:
    """The same as gauges: value, ends of the interval and n under one name each; what isn't known is left out.

    Source
    ------
    Prometheus text exposition format 0.0.4.
    """
    gauges: dict[str, list[str]] = {}
    for section in sections:
        for row in section.rows:
            labels = ",".join(
                f'{_word(key)}="{_quoted(value)}"' for key, value in zip(section.keys, row.keys, strict=True)
            )
            for one in row.figures:
                for end, value in vars(one.measured).items():
                    name = "_".join(filter(None, ("radiolucent", _word(one.name), "" if end == "value" else end)))
                    if value is not None:
                        gauges.setdefault(name, []).append(
                            f"{name}{{{labels}}} {value}" if labels else f"{name} {value}"
                        )
    return "".join(f"# TYPE {name} gauge\n" + "".join(f"{line}\n" for line in lines) for name, lines in gauges.items())


def _word(name: str) -> str:
    """A name that a gauge may have.

    >>> _word("read in whole or part"), _word("rejected: wrong finding")
    ('read_in_whole_or_part', 'rejected_wrong_finding')
    """
    return "_".join(re.findall("[a-z0-9]+", name.lower()))


def _quoted(value: str | int) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _cells(one: Measured) -> list[Any]:
    return [*("" if value is None else value for value in (one.value, one.low, one.high)), one.n]
