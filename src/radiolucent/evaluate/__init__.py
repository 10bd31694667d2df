"""How good an engine is."""
