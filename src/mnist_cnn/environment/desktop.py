"""Whether a picture or a page can be shown to the user."""

from __future__ import annotations

import os
import sys


def has_desktop() -> bool:
    """Return whether the user sits at a graphical desktop of this machine, not at a remote or scripted terminal."""
    if not sys.stdout.isatty() or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
