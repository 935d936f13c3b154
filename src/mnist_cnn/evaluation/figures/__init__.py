"""Arrays in, pictures out: every function gives a `matplotlib.figure.Figure` in one style."""
