"""What an explanation consists of: one map of one finding on one image, by a named method, with all that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import SetupError
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap

Needs = Literal["graph", "forward", "twin"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of explaining a score.

    Parameters
    ----------
    key : the name that is asked for.
    what : what a value of its map means, one sentence for people.
    unit : of the map's values.
    needs : ``graph`` (the pass that made the score), ``forward`` (further passes), ``twin`` (gradients: PyTorch).
    passes : forward passes that it takes where nothing else is asked for; 0 needs none beyond the reading's own.
    cells : side of its own grid, or 0 for the engine's.
    scale : value at which colours end, in `unit`; fixed, so that two maps can be compared. 0 takes the engine's.
    additive : True where the cells add up to a logit, or to a difference of two.
    extra : the optional dependency that it needs.
    source : where it comes from.
    """

    key: str
    title: str
    what: str
    unit: str
    needs: Needs
    passes: int = 0
    cells: int = 0
    scale: float = 0.0
    additive: bool = False
    extra: str = ""
    source: str = ""


_LOST = "logits lost when this patch is blurred away"
METHODS: Mapping[str, Method] = {
    method.key: method
    for method in (
        Method(
            key="grad-cam",
            title="evidence map (Grad-CAM)",
            what="what the network pooled into the logit at this cell; its positive part is Grad-CAM times the cells",
            unit="logit",
            needs="graph",
            source="arXiv:1610.02391",
        ),
        Method(
            key="hires-cam",
            title="HiRes-CAM",
            what="activation times gradient, cell by cell: the evidence times the pool's slope at this cell",
            unit="logit",
            needs="graph",
            scale=0.1,
            source="arXiv:2011.08891",
        ),
        Method(
            key="grad-cam++",
            title="Grad-CAM++",
            what="activations weighed by powers of the gradient; positive only; its size has no meaning of its own",
            unit="weighted activation",
            needs="twin",
            scale=1.0,
            extra="torch",
            source="arXiv:1710.11063",
        ),
        Method(
            key="layer-cam",
            title="LayerCAM",
            what="activations times the positive part of their gradient, cell by cell; what speaks against is left out",
            unit="logit",
            needs="twin",
            scale=0.1,
            extra="torch",
            source="doi:10.1109/TIP.2021.3089943",
        ),
        Method(
            key="occlusion",
            title="occlusion",
            what=_LOST,
            unit="logit",
            needs="forward",
            passes=145,
            cells=12,
            scale=2.0,
            source="arXiv:1311.2901",
        ),
        Method(
            key="rise",
            title="RISE",
            what="mean logit of random views that show this cell, less the mean of all of them",
            unit="logit",
            needs="forward",
            passes=257,
            cells=24,
            scale=1.0,
            source="arXiv:1806.07421",
        ),
        Method(
            key="lime",
            title="LIME",
            what="weight of this patch in a linear model of the logit around the image",
            unit="logit",
            needs="forward",
            passes=257,
            cells=12,
            scale=1.0,
            extra="explain",
            source="arXiv:1602.04938",
        ),
        Method(
            key="shap",
            title="SHAP (Partition)",
            what="this cell's fair share (Owen value) of the logit beyond that of the blurred image",
            unit="logit",
            needs="forward",
            passes=257,
            cells=12,
            scale=0.5,
            additive=True,
            extra="explain",
            source="arXiv:1705.07874",
        ),
        Method(
            key="integrated-gradients",
            title="Integrated Gradients",
            what="slope times change, summed on the straight way from the blurred image, added up over each cell",
            unit="logit",
            needs="twin",
            passes=32,
            scale=0.25,
            additive=True,
            extra="torch",
            source="arXiv:1703.01365",
        ),
        Method(
            key="gradient-shap",
            title="GradientShap",
            what="the same at random places of the way, with a little noise: an estimate, not a sum",
            unit="logit",
            needs="twin",
            passes=32,
            scale=0.25,
            extra="torch",
            source="arXiv:1705.07874",
        ),
    )
}


def find_method(key: str) -> Method:
    """The method of that name.

    Raises
    ------
    SetupError
        If there is none, with the names that there are.

    Examples
    --------
    >>> find_method("rise").unit
    'logit'
    """
    if key not in METHODS:
        raise SetupError(f"no method {key!r}; there are {', '.join(METHODS)}")
    return METHODS[key]


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """One map of one finding on one frame.

    Parameters
    ----------
    finding : name in the taxonomy.
    method : see `METHODS`.
    values : float32 ``(h, w)``, absolute, in `method.unit`, signed unless the method says otherwise.
    record : frame pixels → network input; the cells cover the whole network input.
    frame : index of the frame in its stack.
    logit : of that frame.
    expected_sum : what the cells should add up to; None for a method that isn't additive.
    display_scale : value at which colours end; fixed per method (or per engine and finding), never per image.
    passes, seconds : what it took; of a map from the cache, what it took then.
    parameters : everything that was chosen, as plain values.
    engine : ``name@version``.
    digest : SHA-256 (hex) over engine, image, method, parameters and seed: the same digest is the same map.
    """

    finding: str
    method: Method
    values: NDArray[np.float32]
    record: PixelRecord
    frame: int
    logit: float
    display_scale: float
    expected_sum: float | None = None
    passes: int = 0
    seconds: float = 0.0
    seed: int = 0
    parameters: Mapping[str, int | float | str] = field(default_factory=dict)
    engine: str = ""
    digest: str = ""
    from_cache: bool = False

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise ValueError(f"values must be float32 (h, w), not {self.values.dtype} {self.values.shape}")
        if not np.isfinite(self.values).all():
            raise ValueError("the map holds values that are no finite numbers")

    @property
    def heatmap(self) -> Heatmap:
        """The same map as a heatmap of one frame, for drawing and placing."""
        return Heatmap(evidence=self.values[None], record=self.record, display_scale=self.display_scale)

    @property
    def missing(self) -> float | None:
        """How far the cells' sum is from what it should be, in `method.unit`; None where nothing is claimed."""
        if self.expected_sum is None:
            return None
        return float(self.values.sum(dtype=np.float64)) - self.expected_sum

    def to_json(self) -> dict[str, object]:
        """Plain values, the map among them."""
        return {
            "finding": self.finding,
            "method": self.method.key,
            "what": self.method.what,
            "unit": self.method.unit,
            "engine": self.engine,
            "frame": self.frame,
            "logit": self.logit,
            "seconds": round(self.seconds, 4),
            "passes": self.passes,
            "seed": self.seed,
            "parameters": dict(self.parameters),
            "expected_sum": self.expected_sum,
            "missing": self.missing,
            "display_scale": self.display_scale,
            "record": self.record.to_json(),
            "digest": self.digest,
            "values": [[round(float(value), 6) for value in row] for row in self.values],
        }
