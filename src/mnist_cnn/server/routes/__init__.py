"""What the server answers: one module per subject, each exporting its `router`."""
