import re

import numpy as np

from radiolucent.findings.reading import (
    Localisation,
)
from radiolucent.imaging.heatmap import Heatmap
from tests.unit.results.pages import RECORD, finding, page, reading, series


def test_the_curve_marks_the_peak_slice_on_the_absolute_scale() -> None:
    faint = np.zeros((5, 8, 8), dtype=np.float32)
    faint[2] = 0.4
    shown = finding(
        heatmap=Heatmap(evidence=faint, record=RECORD, display_scale=4.0), localisation=Localisation(status="empty")
    )
    html = page(reading(series(shown)))
    assert "slice 3, 0.4" in html
    top = re.search(r'cy="([\d.]+)"', html)
    assert top is not None
    assert float(top.group(1)) > 95, "a faint map stays near the base line"
