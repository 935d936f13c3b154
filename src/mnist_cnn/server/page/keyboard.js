// Keyboard shortcuts of the whole page. The keys that draw belong to the surface.

/**
 * @param {{undo: () => void, redo: () => void, clear: () => void, pick: (name: string) => boolean}} actions
 *   `pick` returns whether a class has that name.
 */
export function listenToShortcuts({ undo, redo, clear, pick }) {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("dialog, input:not([type=radio])") || event.defaultPrevented) return;
    const key = event.key.toLowerCase();
    const isCommand = (event.ctrlKey || event.metaKey) && !event.altKey;
    if (isCommand && key === "z") (event.shiftKey ? redo : undo)();
    else if (isCommand && key === "y") redo();
    else if (isCommand || event.altKey) return;
    else if (["escape", "delete", "backspace"].includes(key)) clear();
    else if (!mayPick(event) || !pick(event.key)) return;
    event.preventDefault();
  });
}

/** Single characters act only where the focus is on what they act on (WCAG 2.1.4). */
const mayPick = (event) => event.key.length === 1 && event.key !== " " && event.target.closest("#surface, #classes");
