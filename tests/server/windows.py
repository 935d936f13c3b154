"""Windows of a browser, and what tests do in one. Nothing here needs playwright before it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.browser import Desk

SCREEN: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


def expect(target: Any) -> Any:
    from playwright.sync_api import expect

    return expect(target)


def upload(desk: Desk, content: bytes, name: str = "seven.png", mime: str = "image/png") -> None:
    desk.page.set_input_files("#file", {"name": name, "mimeType": mime, "buffer": content})


def hand_over(desk: Desk, content: bytes, event: str) -> None:
    """Drop or paste a PNG file."""
    desk.page.evaluate(
        """([bytes, type]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "seven.png", { type: "image/png" }));
          const options = { bubbles: true, cancelable: true };
          document.body.dispatchEvent(type === "paste"
            ? new ClipboardEvent(type, { ...options, clipboardData: data })
            : new DragEvent(type, { ...options, dataTransfer: data }));
        }""",
        [list(content), event],
    )
