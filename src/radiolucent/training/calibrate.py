"""From logits to probabilities and thresholds: Platt scaling and operating points, on validation rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.evaluate.classification import choose_threshold, sensitivity, specificity

LEAST_SENSITIVITY = 0.90
# what is more likely than not is never called negative, however far the finding stands out on the calibration cases
EVEN = 0.5
_REAL = ("slope", "intercept", "covariance")
RULE = (
    "the highest threshold with sensitivity ≥ 0.90 on the calibration cases (single slices), moved to the middle of "
    "the gap below it; of several folders each that shows the finding 5 times or more, the lowest of theirs; "
    "0.50 at most"
)
# positive cases from which on a folder has a say of its own
_FEWEST = 5


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """``p = 1 / (1 + exp(-(slope * logit + intercept)))``."""

    slope: float
    intercept: float

    def __call__(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities, float64, same shape."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept))))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Variances and covariance of a scaling's two numbers under redrawing its cases by group."""

    slope: float
    intercept: float
    covariance: float
    groups: int
    draws: int

    @property
    def table(self) -> dict[str, float | int]:
        """As ``calibration.json`` holds it: six significant digits."""
        return {name: float(f"{value:.6g}") if name in _REAL else value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class Point:
    """An operating point and what it gives on the cases that it was chosen by."""

    probability: float
    sensitivity: float
    specificity: float
    n: int


def fit_scaling(logits: NDArray[np.floating], truth: NDArray[np.bool_], steps: int = 100) -> Scaling:
    """Fit Platt's two numbers by Newton steps on his smoothed targets, the slope kept positive.

    Parameters
    ----------
    logits : (cases,), finite.
    truth : bool (cases,)

    Raises
    ------
    ValueError
        If there is no positive or no negative case.

    Source
    ------
    Platt 1999; Lin, Lin & Weng, A note on Platt's probabilistic outputs, Machine Learning 68, 2007.
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if positives == 0 or negatives == 0:
        raise ValueError("calibration needs positive and negative cases")
    # targets short of 0 and 1 keep separable cases from giving an endless slope
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = np.stack([np.asarray(logits, dtype=np.float64), np.ones(len(truth))], axis=1)
    beta = np.array([1.0, 0.0])

    def loss(values: NDArray[np.float64]) -> float:
        score = x @ values
        return float((np.logaddexp(0, score) - target * score).sum() + 0.5e-3 * (values**2).sum())

    for _ in range(steps):
        p = 1 / (1 + np.exp(-(x @ beta)))
        gradient = x.T @ (p - target) + 1e-3 * beta
        curvature = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(2)
        move = np.linalg.solve(curvature, gradient)
        stride = 1.0
        while loss(beta - stride * move) > loss(beta) and stride > 1e-6:
            stride /= 2
        beta = beta - stride * move
        if float(np.abs(stride * move).max()) < 1e-9:
            break
    return Scaling(slope=max(float(beta[0]), 1e-3), intercept=float(beta[1]))


def spread_of_scaling(
    logits: NDArray[np.floating], truth: NDArray[np.bool_], groups: NDArray[Any], *, draws: int = 500, seed: int = 0
) -> Spread | None:
    """How well a scaling is known: fitted again on groups drawn with replacement (bootstrap by group).

    A draw without a positive or without a negative case can't be fitted and is left out.

    Parameters
    ----------
    logits : (cases,), finite.
    truth : bool (cases,)
    groups : (cases,), what is drawn together: a patient, where patients are known.

    Returns
    -------
    None where there are fewer than two groups, or fewer than two draws could be fitted.

    Source
    ------
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8; groups as in Field & Welsh,
    doi:10.1111/j.1467-9868.2007.00593.x.
    """
    names = np.unique(groups)
    if len(names) < 2:
        return None
    members = [np.flatnonzero(groups == name) for name in names]
    random = np.random.default_rng(seed)
    fitted = []
    for _ in range(draws):
        rows = np.concatenate([members[index] for index in random.integers(0, len(names), len(names))])
        if truth[rows].any() and not truth[rows].all():
            scaling = fit_scaling(logits[rows], truth[rows])
            fitted.append((scaling.slope, scaling.intercept))
    if len(fitted) < 2:
        return None
    matrix = np.cov(np.array(fitted), rowvar=False)
    return Spread(
        slope=float(matrix[0, 0]),
        intercept=float(matrix[1, 1]),
        covariance=float(matrix[0, 1]),
        groups=len(names),
        draws=len(fitted),
    )


def choose_point(
    probabilities: NDArray[np.floating], truth: NDArray[np.bool_], folders: NDArray[np.str_] | None = None
) -> Point:
    """The operating point by `RULE`.

    A threshold that keeps its promise on all cases together can break it in a small folder whose cases are harder.

    Parameters
    ----------
    probabilities : (cases,)
    truth : bool (cases,)
    folders : (cases,), where each comes from; None: all from one.

    Raises
    ------
    ValueError
        If there is no positive or no negative case.
    """
    threshold = choose_threshold(probabilities, truth, LEAST_SENSITIVITY)
    for name in np.unique(folders) if folders is not None else ():
        rows = folders == name
        if truth[rows].sum() >= _FEWEST and not truth[rows].all():
            threshold = min(threshold, choose_threshold(probabilities[rows], truth[rows], LEAST_SENSITIVITY))
    threshold = min(threshold, EVEN)
    called = probabilities >= threshold
    return Point(
        probability=threshold,
        sensitivity=sensitivity(called, truth),
        specificity=specificity(called, truth),
        n=len(truth),
    )
