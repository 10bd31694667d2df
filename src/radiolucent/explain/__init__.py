"""Why: where the evidence lies, how it is drawn, how far it can be trusted."""
