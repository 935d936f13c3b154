"""Images made from other images: distorted digits, and drawn outliers that are not digits."""
