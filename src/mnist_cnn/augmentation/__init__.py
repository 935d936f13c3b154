"""Distorted digits, and drawn outliers that are not digits: scribbles, signs, clothes."""
