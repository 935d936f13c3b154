"""Tests of evaluation, figures, report and comparison; a package, so that its conftest has a name of its own."""
