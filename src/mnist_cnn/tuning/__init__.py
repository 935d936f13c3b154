"""Search for settings: a declared space, a study of many trials, workers that share it. Begin at `search.py`.

Nothing is imported here: a space, a plan and a folder need neither Keras nor Optuna, a study and its results need
Optuna alone, and what trains needs both.
"""
