"""The included recipes, from their files."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from mnist_cnn.config import DEFAULT_RECIPE, load_recipe, recipe_names


def describe() -> str:
    """Describe every recipe, the default first."""
    return "\n\n".join(part for name in recipe_names() for part in _describe(name))


def _describe(name: str) -> Iterator[str]:
    recipe = load_recipe(name)
    text = (resources.files("mnist_cnn") / "recipes" / f"{name}.toml").read_text("utf-8")
    _, bracket, settings = text.partition("\n[")  # the lines before are shown as a list
    yield f"### {name}{' (default)' if name == DEFAULT_RECIPE else ''}"
    yield f"{recipe.title}."
    yield "\n".join(
        f"- {title}: {value}"
        for title, value in (
            ("Source", recipe.source),
            ("Parameters", f"{recipe.parameters:,}"),
            ("Expected accuracy", recipe.expected_accuracy),
            ("Expected time", recipe.expected_time),
        )
    )
    yield f"```toml\n{bracket.strip()}{settings.strip()}\n```"
