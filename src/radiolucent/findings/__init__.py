"""What a radiologist is told."""
