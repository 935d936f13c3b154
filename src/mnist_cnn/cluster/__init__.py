"""Ray clusters, for whatever has work for many machines."""
