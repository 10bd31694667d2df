"""The same figures as text: one line a figure, for the terminal and for the model card."""

from __future__ import annotations

from typing import Any

_LABELS = {
    "accuracy": ("Accuracy", 1, ""),
    "balanced_accuracy": ("Balanced accuracy", 1, ""),
    "auroc": ("AUROC", 1, ""),
    "auprc": ("AUPRC", 1, ""),
    "sensitivity": ("Sensitivity at the operating point", 1, ""),
    "specificity": ("Specificity at the operating point", 1, ""),
    "calibration_error": ("Expected calibration error", 1, ""),
    "hit_rate": ("Peak inside the outline", 1, ""),
    "relevance_mass": ("Evidence inside the outline", 1, ""),
    "iou": ("IoU", 1, ""),
    "dice": ("Dice", 1, ""),
    "empty": ("No focus above the floor", 1, ""),
    "centroid_px_median": ("Centroid distance, median", 1, " px"),
    "centroid_mm_median": ("Centroid distance, median", 1, " mm"),
    "within_8_mm": ("Centroid within 8 mm", 1, ""),
}


def lines(measured: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what, of which finding, figure with interval) of everything that was measured, in reading order."""
    found: list[tuple[str, str, str]] = []
    for name, figure in measured.get("classification", {}).items():
        if name in _LABELS:
            found.append((_LABELS[name][0], "all", text(name, figure)))
    for finding, figures in measured["findings"].items():
        found += [(_LABELS[key][0], finding, text(key, figure)) for key, figure in figures.items() if key in _LABELS]
    for finding, figures in measured["localisation"].items():
        found += [(_LABELS[key][0], finding, text(key, figure)) for key, figure in figures.items() if key in _LABELS]
    for kind, parts in measured["baselines"].items():
        title = {"centre": "guess: centre of the body", "mean_mask": "guess: mean outline"}[kind]
        for key in ("hit_rate", "dice", "centroid_mm_median"):
            if key in parts.get("all", {}):
                found.append((_LABELS[key][0], title, text(key, parts["all"][key])))
    return found + _subgroup_lines(measured)


def _subgroup_lines(measured: dict[str, Any]) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for key, parts in measured.get("subgroups", {}).items():
        for value, figures in parts.items():
            where = f"{key}: {value or 'not stated'} ({figures['n']})"
            for finding in measured["findings"]:
                if figures.get(finding, {}).get("value") is not None:
                    found.append((f"AUROC, {finding}", where, text("auroc", figures[finding])))
            if "hit_rate" in figures["localisation"]:
                found.append((_LABELS["hit_rate"][0], where, text("hit_rate", figures["localisation"]["hit_rate"])))
        spread = measured.get("spread", {}).get(key, {})
        for finding in measured["findings"]:
            if spread.get(finding, {}).get("auroc") is not None:
                found.append((f"AUROC, {finding}, largest less smallest", key, f"{spread[finding]['auroc']:.3f}"))
        if spread.get("hit_rate") is not None:
            found.append((f"{_LABELS['hit_rate'][0]}, largest less smallest", key, f"{spread['hit_rate']:.3f}"))
    return found


def text(name: str, figure: dict[str, Any]) -> str:
    """One figure with its interval and count.

    >>> text("dice", {"value": 0.51234, "low": 0.4, "high": 0.61, "n": 20})
    '.512 (.400 to .610), n = 20'
    """
    unit = _LABELS[name][2]
    if figure["value"] is None:
        return f"not measured, n = {figure['n']}"
    return (
        f"{_number(figure['value'], unit)}{unit} ({_number(figure['low'], unit)} to {_number(figure['high'], unit)}), "
        f"n = {figure['n']}"
    )


def markdown(measured: dict[str, Any]) -> str:
    """The lines as a Markdown table."""
    rows = [f"| {what} | {which} | {figure} |" for what, which, figure in lines(measured)]
    return "\n".join(["| figure | of | value (95 % interval) |", "|---|---|---|", *rows])


def plain(measured: dict[str, Any]) -> str:
    """The lines as aligned text, under a line that says what was measured on what."""
    table = lines(measured)
    wide = max(len(what) for what, _, _ in table)
    middle = max(len(which) for _, which, _ in table)
    head = (
        f"{measured['engine']} on {measured['data']}, split {measured['split'] or 'all'}: {measured['n']} images in "
        f"{measured['groups']} groups, {measured['milliseconds_per_image']} ms each"
    )
    return "\n".join([head, *(f"{what:<{wide}}  {which:<{middle}}  {figure}" for what, which, figure in table)])


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if unit else f"{value:.3f}".replace("0.", ".", 1) if value < 1 else f"{value:.3f}"
