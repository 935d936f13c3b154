"""The machine that we run on, and the installation that we run from."""
