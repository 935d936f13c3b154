"""The colours of everything that is drawn: figures, reports, explanations. The drawing page has its own in page.css.

Blue and vermilion are from Okabe and Ito's palette, which people with any form of colour blindness can tell apart.
"""

from __future__ import annotations

RIGHT = "#0072B2"  # what is correct, accepted or expected
WRONG = "#D55E00"
TEXT = "#1B2733"
MUTED = "#5D6975"
RULE = "#DDE3E9"
PAPER = "#FFFFFF"
