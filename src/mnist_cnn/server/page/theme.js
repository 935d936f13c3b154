// Runs before the first paint, hence no module: a remembered choice must not flash the other theme.
"use strict";
(() => {
  const KEY = "mnist-cnn.theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  // Storage may be forbidden; then the choice holds until the page is left.
  const remembered = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* see above */ } };

  const apply = (theme) => {
    root.dataset.theme = theme;
    document.querySelector("meta[name=theme-color]").content = theme === "dark" ? "#101419" : "#f5f7f9";
    document.querySelector("#theme")?.setAttribute("aria-pressed", String(theme === "dark"));
    root.dispatchEvent(new Event("themechange"));
  };
  const ofSystem = () => (system.matches ? "dark" : "light");

  apply(remembered() ?? ofSystem());
  system.addEventListener("change", () => { if (!remembered()) apply(ofSystem()); });
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("#theme");
    if (!button) return; // the documentation has none
    button.setAttribute("aria-pressed", String(root.dataset.theme === "dark"));
    button.addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      remember(theme);
      apply(theme);
    });
  });
})();
