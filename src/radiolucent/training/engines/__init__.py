"""One file per engine: its recipe, its scope and what is known of its data."""
