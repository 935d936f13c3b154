"""Hyperparameter search: a declared space, a study of many trials, workers that share it. Start reading at `search.py`.

Nothing is imported here: spaces, plans and folders need neither Keras nor Optuna, studies and results need Optuna
alone, and training needs both.
"""
