"""Evaluation of a model: predictions → metrics → sentences → pictures → pages."""
