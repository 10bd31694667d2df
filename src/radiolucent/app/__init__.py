"""The composition root: what settings are made into, the gateway process, its workers, its housekeeping."""
