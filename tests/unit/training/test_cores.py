import numpy as np

from radiolucent.training.cores import blood


def a_slice(clot_hu: float) -> tuple[np.ndarray, np.ndarray]:
    """Network input of a head (36 HU in a ring of bone) with a clot, and a loose box that also holds bone and air."""
    line, column = np.indices((120, 120), dtype=np.float32)
    radius = np.hypot(line - 60, column - 60)
    units = np.zeros((120, 120), dtype=np.float32)
    units[radius < 52] = 80
    units[radius < 46] = 36
    units[50:70, 90:103] = clot_hu
    units[radius >= 46] = np.where(radius[radius >= 46] < 52, 80, 0)
    box = np.zeros((120, 120), dtype=np.float32)
    box[44:76, 84:116] = 1
    return units / 40 - 1, box


def test_the_clot_is_found_inside_its_box_and_bone_is_not() -> None:
    image, box = a_slice(65)
    core = blood(image, box) > 0.5
    clot = np.isclose(image, 65 / 40 - 1)
    assert (core & clot).sum() / clot.sum() > 0.9
    assert (core & ~clot).sum() / core.sum() < 0.15


def test_a_box_without_fresh_blood_keeps_its_brain_but_no_bone() -> None:
    image, box = a_slice(30)
    core = blood(image, box) > 0.5
    brain = (box > 0.5) & (image < 0.9) & (image > -0.9)
    assert (core & brain).sum() / brain.sum() > 0.9
    assert not (core & (image > 0.95)).any()


def test_no_box_stays_no_core() -> None:
    image, box = a_slice(65)
    np.testing.assert_array_equal(blood(image, np.zeros_like(box)), np.zeros_like(box))
