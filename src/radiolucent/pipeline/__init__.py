"""The route of one study."""
