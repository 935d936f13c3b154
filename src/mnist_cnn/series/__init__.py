"""Several complete trainings: one after another on this machine, or at the same time on a Ray cluster.

Nothing is imported here: only the process that trains needs Keras.
"""
