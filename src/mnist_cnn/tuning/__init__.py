"""Search for settings: a declared space, a study of many trials, workers that share it. Begin at `search.py`.

Nothing is imported here: `space` and `results` can be had without Keras, and all but `results` without Optuna.
"""
