"""Who did what: events as values, and the chain that shows whether any of them was touched."""
