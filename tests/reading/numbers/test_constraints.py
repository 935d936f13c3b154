"""Patterns and lengths against Python's `re`, and hostile ones."""

from __future__ import annotations

import contextlib
import itertools
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.errors import SettingError
from mnist_cnn.reading.numbers.automaton import MAX_STATES, NOWHERE
from mnist_cnn.reading.numbers.constraints import MAX_DIGITS, Constraint

SHORT = ["".join(text) for count in range(6) for text in itertools.product("013", repeat=count)]
PARTS = st.sampled_from(["0", "1", r"\d", "[1-3]", "[^1]", ".", "-", "", r"\D", r"\w"])
REPEATS = st.sampled_from(["?", "*", "+", "{2}", "{0,2}", "{1,}", "{0}", "*?"])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, REPEATS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    )


@given(pattern=st.recursive(PARTS, combined, max_leaves=8))
def test_an_automaton_accepts_what_re_matches(pattern: str) -> None:
    matched = [bool(re.fullmatch(pattern, text)) for text in SHORT]
    try:
        automaton = Constraint(pattern=pattern).automaton
    except SettingError:
        assert not any(matched[1:])  # the first text is empty, and no number
        return
    assert [automaton.accepts(text) for text in SHORT] == matched
    reachable = {0, *automaton.transitions.ravel().tolist()} - {NOWHERE}
    assert reachable == set(range(len(automaton.accepting)))


@pytest.mark.parametrize(
    ("length", "limits"),
    [(5, (5, 5)), ("5", (5, 5)), ("3-6", (3, 6)), (" 3 – 6 ", (3, 6)), ((3, 6), (3, 6)), (np.int64(5), (5, 5))],
)
def test_lengths(length: int | str | tuple[int, int], limits: tuple[int, int]) -> None:
    constraint = Constraint.of(length)
    assert constraint is not None
    assert (constraint.shortest, constraint.longest) == limits
    for count in range(9):
        assert constraint.automaton.accepts("7" * count) == (limits[0] <= count <= limits[1])


@pytest.mark.parametrize(
    "length", [0, -1, True, 2.5, "", "x", "6-3", "3-", "-3", "3-6-9", (6, 3), (1,), (1, 2, 3), MAX_DIGITS + 1, "9" * 99]
)
def test_invalid_lengths_are_refused(length: object) -> None:
    with pytest.raises(SettingError, match=r"Valid: a number of digits from 1 to 200"):
        Constraint.of(length)  # type: ignore[arg-type]


def test_no_constraint() -> None:
    assert Constraint.of() is None


def test_a_length_and_a_pattern_hold_together() -> None:
    constraint = Constraint.of("2-3", r"[1-9]\d*")
    assert constraint is not None
    assert [constraint.automaton.accepts(text) for text in ("1", "12", "012", "120", "1200")] == [
        False, True, False, True, False,
    ]  # fmt: skip
    with pytest.raises(SettingError, match=r"pattern '\\d\{4\}' matches no number of 2 to 3 digits"):
        Constraint.of("2-3", r"\d{4}")


def test_other_characters_never_occur() -> None:
    automaton = Constraint(pattern=r"^\d{3}-?\d{2}(kg)?$").automaton
    assert automaton.accepts("12345")
    with pytest.raises(SettingError, match="matches no number"):
        Constraint.of(pattern="[a-z]+")
    with pytest.raises(SettingError, match="matches no number"):
        Constraint.of(pattern=r"\d{3}-\d{2}")


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "[",
        "1)",
        "[9-0]",
        "1{3,2}",
        "**",
        r"(?=1)2",
        r"(\d)\1",
        r"\x4",
        "\\",
        "(?i)1",
        "(" * 900,
        "(" * 450 + ")" * 450,
    ],
)
def test_what_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(SettingError, match=r"(cannot be read|nested too deeply|matches no number).* Give "):
        Constraint.of(pattern=pattern)


@pytest.mark.parametrize("depth", range(100, 500, 20))
def test_a_deeply_nested_pattern_is_followed_or_refused(depth: int) -> None:
    with contextlib.suppress(SettingError):
        Constraint.of(pattern="(" * depth + "1" + ")" * depth)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"\d\z{2}", r"the pattern '\d\z{2}' cannot be read from '\z{2}' on. It may contain"),
        (r"^\d(\d", r"the pattern '^\d(\d' cannot be read from '(\d' on. It may contain"),
        (r"\d[1-", r"the pattern '\d[1-' cannot be read. It may contain"),
        ("(\n", r"the pattern '(\n' cannot be read. It may contain"),
        (r"\d[9-0]", r"the pattern '\d[9-0]' cannot be read: the range 9-0 is in reverse order, write 0-9. It may"),
        (r"[1-36-4]", r"cannot be read: the range 6-4 is in reverse order, write 4-6. It may contain"),
        (r"\d{3,1}", r"the pattern '\d{3,1}' cannot be read: {3,1} is in reverse order, write {1,3}. It may contain"),
        (r"\d{4}-", r"the pattern '\d{4}-' matches no number"),
        (r"[01]*1[01]{40}\d", r"the pattern '[01]*1[01]{40}\d' is too complex: it takes more than 1,000 states"),
        (r"\d" * 600, r"the pattern '\d\d\d"),
    ],
)
def test_a_message_shows_the_pattern_as_it_was_typed(pattern: str, words: str) -> None:
    with pytest.raises(SettingError) as caught:
        Constraint.of(pattern=pattern)
    assert words in str(caught.value)
    assert "index" not in str(caught.value)
    assert "\\\\" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "pattern",
    [
        r"(\d{1,1000}){1000}",
        r"\d{99999999999999999999}",
        r"((((\d{9}){9}){9}){9}){9}",
        r"(\d*1\d{20}|\d*2\d{20})*",
        "[01]*1[01]{40}",
        r"(){999999999}" + r"\d{2000}",
        "(-?){1000000}",
        r"\d" * 2_000_000,
        "(" * 500_000,
        "(((((1*)*)*)*)*)*{900}",
        "(" + "|".join(rf"\d*{count}\d*" for count in range(10, 99)) + ")",
    ],
)
def test_patterns_made_to_explode_are_refused_quickly(pattern: str) -> None:
    start = time.process_time()
    with pytest.raises(SettingError, match=r"(too complex|at most 1,000 are read|cannot be read)") as caught:
        Constraint.of(pattern=pattern)
    assert time.process_time() - start < 2
    assert len(str(caught.value)) < 400


def test_nested_stars_and_long_lists_are_built_quickly() -> None:
    start = time.process_time()
    nested = Constraint(pattern="(" * 60 + "1" + "*)" * 60).automaton
    assert len(nested.accepting) == 1
    codes = [f"{code:05d}" for code in range(0, 99999, 701)]
    listed = Constraint(pattern="|".join(codes)).automaton
    assert all(map(listed.accepts, codes))
    assert not listed.accepts("00001")
    assert len(Constraint(pattern=r"\d{200}").automaton.accepting) == 201 < MAX_STATES
    assert time.process_time() - start < 2


def test_substitutes_that_fit() -> None:
    automaton = Constraint(pattern="1[23]|23").automaton
    expected = [[automaton.accepts(str(digit) + "3") for digit in range(10)], [False, False, *[True] * 2, *[False] * 6]]
    assert automaton.accepted_substitutes("13").tolist() == expected


@pytest.mark.parametrize("pattern", ["", "()", r"\d{0}", "(|)", "^$"])
def test_a_pattern_that_only_no_digits_fit_is_refused(pattern: str) -> None:
    with pytest.raises(SettingError, match="matches no number"):
        Constraint.of(pattern=pattern)


@pytest.mark.parametrize("pattern", [r"^\d{4}$|\d{6}", "^1$|^2$", "1(^2)", "(1$)"])
def test_anchors_inside_a_pattern_are_refused(pattern: str) -> None:
    with pytest.raises(SettingError, match="Leave them out"):
        Constraint.of(pattern=pattern)


@pytest.mark.parametrize("pattern", [r"^\d{4}$", "[^1]2"])
def test_anchors_at_the_ends_and_sets_are_read(pattern: str) -> None:
    assert Constraint.of(pattern=pattern) is not None
