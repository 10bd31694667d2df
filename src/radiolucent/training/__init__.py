"""Making engines; never imported by the service."""
