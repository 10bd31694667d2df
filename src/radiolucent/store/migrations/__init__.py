"""Changes to tables that installations have, one file each in ``versions``, applied in order when a store is opened."""
