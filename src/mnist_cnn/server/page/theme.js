// Runs before the first paint, so it is not a module: the page must not flash in the other theme.
"use strict";
(() => {
  const KEY = "mnist-cnn.theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  // Storage may be forbidden; then the choice lasts until the page is closed.
  const remembered = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* see above */ } };

  const apply = (theme) => {
    root.dataset.theme = theme;
    document.querySelector("meta[name=theme-color]").content = getComputedStyle(root).getPropertyValue("--page");
    document.querySelector("#theme")?.setAttribute("aria-pressed", String(theme === "dark"));
    root.dispatchEvent(new Event("themechange"));
  };
  const ofSystem = () => (system.matches ? "dark" : "light");

  apply(remembered() ?? ofSystem());
  system.addEventListener("change", () => { if (!remembered()) apply(ofSystem()); });
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("#theme");
    button.setAttribute("aria-pressed", String(root.dataset.theme === "dark"));
    button.addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      remember(theme);
      apply(theme);
    });
  });
})();
