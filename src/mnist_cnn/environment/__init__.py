"""The machine that the package runs on, and how it was installed."""
