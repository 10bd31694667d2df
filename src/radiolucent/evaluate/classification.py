"""Is it there: accuracy, ranking, sensitivity and specificity at the operating point, and calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Scores = NDArray[np.floating]
Truth = NDArray[np.bool_]
_NAN = float("nan")


def accuracy(chosen: NDArray[np.intp], truth: NDArray[np.intp]) -> float:
    """Share of cases whose chosen class is the true one; NaN without cases."""
    return float((chosen == truth).mean()) if len(truth) else _NAN


def balanced_accuracy(chosen: NDArray[np.intp], truth: NDArray[np.intp]) -> float:
    """Mean over the classes present of the share of their cases that were chosen right."""
    return float(np.mean([(chosen[truth == k] == k).mean() for k in np.unique(truth)])) if len(truth) else _NAN


def auroc(scores: Scores, truth: Truth) -> float:
    """Chance that a positive case scores above a negative one, ties half; NaN unless both kinds are there.

    Source: Hanley & McNeil, Radiology 143, 1982 (the Mann-Whitney statistic).

    >>> auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if positives == 0 or negatives == 0:
        return _NAN
    ranks = rankdata(scores)
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auprc(scores: Scores, truth: Truth) -> float:
    """Average precision: precision at each positive, cases of one score taken together; NaN without positives."""
    positives = int(truth.sum())
    if positives == 0:
        return _NAN
    order = np.argsort(-scores, kind="stable")
    hits, ordered = np.cumsum(truth[order]), scores[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    recall = hits[last] / positives
    precision = hits[last] / (last + 1)
    return float((np.diff(np.append(0.0, recall)) * precision).sum())


def sensitivity(positive: Truth, truth: Truth) -> float:
    """Share of the cases with the finding that were called positive; NaN without such cases."""
    return float(positive[truth].mean()) if truth.any() else _NAN


def specificity(positive: Truth, truth: Truth) -> float:
    """Share of the cases without the finding that were called negative; NaN without such cases."""
    return float((~positive[~truth]).mean()) if (~truth).any() else _NAN


def calibration_error(probabilities: Scores, truth: Truth, bins: int = 10) -> float:
    """Expected calibration error over bins of equal width: mean |probability − frequency|, weighted by cases.

    Source: Naeini, Cooper & Hauskrecht, AAAI 2015.
    """
    if len(truth) == 0:
        return _NAN
    index = np.minimum((np.asarray(probabilities) * bins).astype(int), bins - 1)
    gaps = [
        abs(float(probabilities[index == b].mean()) - float(truth[index == b].mean())) * float((index == b).mean())
        for b in np.unique(index)
    ]
    return float(sum(gaps))


def choose_threshold(probabilities: Scores, truth: Truth, least_sensitivity: float = 0.90) -> float:
    """The probability from which a case counts as positive: the highest threshold whose sensitivity is at least
    `least_sensitivity`, moved to the middle of the gap below it. It is the most specific one that still finds so many.

    Raises
    ------
    ValueError
        If there is no positive or no negative case to choose by.
    """
    if not truth.any() or truth.all():
        raise ValueError("an operating point needs positive and negative cases")
    levels = np.unique(np.asarray(probabilities, dtype=np.float64))
    called = probabilities[None, :] >= levels[:, None]
    sens = called[:, truth].mean(axis=1)
    best = int(np.flatnonzero(sens >= least_sensitivity)[-1])
    below = levels[best - 1] if best > 0 else 0.0
    return float((levels[best] + below) / 2)


def balanced_threshold(probabilities: Scores, truth: Truth, folders: NDArray[np.str_] | None = None) -> float:
    """The threshold with the largest sum of sensitivity and specificity, moved to the middle of the gap below it; of
    several the lowest, which misses least.

    Parameters
    ----------
    folders : (cases,), where each comes from; sensitivity and specificity are then the means of the folders', so that
        many easy cases of one don't speak for all. None: all from one.

    Raises
    ------
    ValueError
        If there is no positive or no negative case to choose by.

    Source
    ------
    Youden, Index for rating diagnostic tests, Cancer 3, 1950.
    """
    if not truth.any() or truth.all():
        raise ValueError("an operating point needs positive and negative cases")
    levels = np.unique(np.asarray(probabilities, dtype=np.float64))
    names = np.zeros(len(truth), dtype=np.str_) if folders is None else folders
    missed, cleared = (
        np.mean(
            [
                np.searchsorted(np.sort(probabilities[kind & (names == name)]), levels) / (kind & (names == name)).sum()
                for name in np.unique(names[kind])
            ],
            axis=0,
        )
        for kind in (truth, ~truth)
    )
    best = int(np.argmax(cleared - missed))
    below = levels[best - 1] if best > 0 else 0.0
    return float((levels[best] + below) / 2)
