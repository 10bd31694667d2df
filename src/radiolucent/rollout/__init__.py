"""Who may see what, when: phases, when the next one is earned, and the one table of access."""
