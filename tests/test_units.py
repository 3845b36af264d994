"""Sizes in words, and back."""

from __future__ import annotations

import pytest

from images import units


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 50, "3072.0 TiB"),
    ],
)
def test_a_size_in_words(count: int | None, words: str) -> None:
    assert units.size(count) == words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("256M", 256 << 20),
        (" 1.5 GiB ", 3 << 29),
        ("2kb", 2048),
    ],
)
def test_words_are_read_as_a_size(text: str, count: int) -> None:
    assert units.parse_size(text) == count


@pytest.mark.parametrize("text", ["", "much", "-1", "1.5.5", "1 parsec", "999999999T"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is"):
        units.parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1.5 h", 5400), (" 30d ", 2_592_000), ("2w", 1_209_600), ("0m", 0)],
)
def test_words_are_read_as_a_duration(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


def test_a_number_without_a_unit_counts_the_default_unit() -> None:
    assert units.parse_duration("30", "d") == 2_592_000


@pytest.mark.parametrize("text", ["", "30", "-1d", "1 y", "1.d", "d", "1e3s", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 images"), (1, "1 image"), (2, "2 images")]
)
def test_one_is_no_plural(number: int, words: str) -> None:
    assert units.counted(number, "image") == words


def test_a_count_of_a_noun_with_another_plural() -> None:
    assert units.counted(1, "miss", "misses") == "1 miss"
    assert units.counted(2, "miss", "misses") == "2 misses"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("-12", -12),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), 2**63 - 1),
        ("9" * 5000, 2**63 - 1),
        ("-" + "9" * 5000, 1 - 2**63),
        ("0" * 5000 + "5", 5),
        ("0" * 5000, 0),
    ],
)
def test_a_number_of_any_length_is_parsed(text: str, number: int) -> None:
    assert units.parse_number(text) == number


@pytest.mark.parametrize("text", ["", "-", "x", "1.5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        units.parse_number(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("123", 123)]
    + [(it, None) for it in ("", "1234", "-1", "+1", "1_0", " 1", "x", "١", "²")],
)
def test_a_number_of_few_digits_is_parsed(text: str, number: int | None) -> None:
    assert units.parse_digits(text, 3) == number
