"""Networks: bundles, their input, their run."""
