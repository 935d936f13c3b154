"""Arrays in, pictures out: every function returns a `matplotlib.figure.Figure` in one style."""
