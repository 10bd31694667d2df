"""How a scanner turns values into an image: blur, bias field, noise, kernel."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from radiolucent.phantom.scene import Field, field


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Field:
    return rng.standard_normal(shape, dtype=np.float32)


def magnetic_resonance(
    signal: Field, rng: np.random.Generator, *, noise: float, bias: float, blur_pixels: float = 0.45
) -> Field:
    """Turn relative signal into a magnitude image.

    Parameters
    ----------
    signal : float32 (frames, rows, columns), white matter = 1.
    noise : deviation of the real and imaginary channels, relative to white matter: magnitude noise is Rician.
    bias : relative height of the slow coil shading.
    blur_pixels : deviation of the in-plane point spread.

    Returns
    -------
    float32 (frames, rows, columns), relative to white matter.
    """
    frames, rows, columns = signal.shape
    blurred = ndimage.gaussian_filter(signal, (0, blur_pixels, blur_pixels))
    u = np.linspace(-1, 1, columns, dtype=np.float32)[None, None, :]
    v = np.linspace(-1, 1, rows, dtype=np.float32)[None, :, None]
    w = np.linspace(-1, 1, frames, dtype=np.float32)[:, None, None] if frames > 1 else np.zeros((1, 1, 1), np.float32)
    a = rng.uniform(-1, 1, 5).astype(np.float32)
    shading = 1 + bias * (0.5 * (a[0] * u + a[1] * v + a[2] * w) + 0.9 * (u * u + v * v) - 0.3 + 0.4 * a[3] * u * v)
    blurred = blurred * shading
    real = blurred + noise * _normal(rng, signal.shape)
    imaginary = noise * _normal(rng, signal.shape)
    return field(np.sqrt(real * real + imaginary * imaginary))


def computed_tomography(hu: Field, rng: np.random.Generator, *, noise_hu: float, sharp: bool, pixel_mm: float) -> Field:
    """Turn HU into a reconstructed slice stack: kernel and correlated noise.

    Parameters
    ----------
    hu : float32 (frames, rows, columns).
    noise_hu : deviation of the noise in a frame.
    sharp : bone kernel (crisp, grainy) instead of a soft-tissue kernel.
    pixel_mm : pixel spacing.
    """
    spread = (0.35 if sharp else 0.55) / pixel_mm
    blurred = ndimage.gaussian_filter(hu, (0, spread, spread))
    grain = _normal(rng, hu.shape)
    fine = ndimage.gaussian_filter(grain, (0, 0.6 * spread + 0.2, 0.6 * spread + 0.2))
    # a ramp filter leaves little noise at low frequencies: take them out
    fine = fine - ndimage.gaussian_filter(fine, (0, 3.0, 3.0))
    fine *= noise_hu / max(float(fine.std()), 1e-6)
    return field(np.maximum(blurred + fine, -1024))


def radiograph(
    attenuation: Field,
    rng: np.random.Generator,
    *,
    spacing_mm: float,
    photons: float,
    scatter: float,
    blur_mm: float,
    low: float,
    high: float,
    equalise: float = 0.4,
) -> Field:
    """Turn line integrals into a processed radiograph: Beer-Lambert, scatter, blur, quantum noise, logarithm.

    Parameters
    ----------
    attenuation : float32 (rows, columns), the line integral of the attenuation coefficient, no unit.
    photons : per mm² in the open field.
    scatter : scattered over primary intensity behind the middle of the body.
    blur_mm : deviation of the detector's point spread.
    low, high : line integrals shown as black and as white.
    equalise : share of the slow variation (centimetres) that processing takes out, as detectors' software does.

    Returns
    -------
    float32 (rows, columns), 0 to 4095, larger is denser.
    """
    primary = np.exp(-attenuation)
    step = max(1, int(6 / spacing_mm))
    coarse = ndimage.uniform_filter(primary, step)[::step, ::step]
    haze = ndimage.gaussian_filter(
        np.minimum(coarse, 3 * np.exp(-(low + high) / 2)), 22 / (spacing_mm * step), mode="nearest"
    )
    rows = np.linspace(0, coarse.shape[0] - 1, primary.shape[0])
    columns = np.linspace(0, coarse.shape[1] - 1, primary.shape[1])
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    intensity = primary + scatter * field(ndimage.map_coordinates(haze, grid, order=1, mode="nearest"))
    intensity = ndimage.gaussian_filter(intensity, blur_mm / spacing_mm)
    counts = np.maximum(intensity * (photons * spacing_mm**2), 1.0)
    counts = counts + np.sqrt(counts) * _normal(rng, counts.shape)
    noisy = -np.log(np.maximum(counts, 1.0) / (photons * spacing_mm**2))
    noisy = noisy + 0.35 * (noisy - ndimage.gaussian_filter(noisy, 1.2 / spacing_mm))
    step = max(1, int(4 / spacing_mm))
    slow = ndimage.gaussian_filter(np.clip(noisy, low, high)[::step, ::step], 16 / (spacing_mm * step), mode="nearest")
    grid = np.stack(np.meshgrid(*(np.arange(size, dtype=np.float32) / step for size in noisy.shape), indexing="ij"))
    slow = field(ndimage.map_coordinates(slow, grid, order=1, mode="nearest"))
    noisy = noisy - equalise * (slow - (low + high) / 2)
    shown = np.clip((noisy - low) / (high - low), 0, None)
    shown = np.where(shown > 0.75, 0.75 + 0.25 * np.tanh((shown - 0.75) / 0.25), shown)
    return field(np.round(shown * 4095))
