"""What scanners do to values: noise of the right size, denser is brighter, nothing out of range."""

import numpy as np
import pytest

from radiolucent.phantom.render import computed_tomography, magnetic_resonance, radiograph


def test_ct_noise_has_the_deviation_asked_for_and_leaves_the_mean() -> None:
    image = computed_tomography(
        np.full((2, 128, 128), 40, dtype=np.float32), np.random.default_rng(1), noise_hu=4.0, sharp=False, pixel_mm=0.5
    )
    assert image.std() == pytest.approx(4, rel=0.1)
    assert image.mean() == pytest.approx(40, abs=0.2)


def test_magnitude_noise_is_rician_so_air_is_not_zero() -> None:
    image = magnetic_resonance(
        np.zeros((1, 128, 128), dtype=np.float32), np.random.default_rng(1), noise=0.05, bias=0.2
    )
    assert image.min() >= 0
    assert image.mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.05)


def test_a_film_is_brighter_where_more_is_absorbed_and_fewer_photons_are_noisier() -> None:
    steps = np.repeat(np.linspace(1.0, 3.0, 8, dtype=np.float32), 16)[None, :] * np.ones((96, 1), dtype=np.float32)

    def film(photons: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return radiograph(
            steps,
            np.random.default_rng(1),
            spacing_mm=0.5,
            photons=photons,
            scatter=0.1,
            blur_mm=0.2,
            low=0.5,
            high=3.5,
        )

    means = film(1e5).reshape(96, 8, 16).mean(axis=(0, 2))
    assert np.all(np.diff(means) > 0)
    assert film(1e5).min() >= 0
    assert film(1e5).max() <= 4095
    assert film(1e3)[:, 34:46].std() > 2 * film(1e5)[:, 34:46].std()
