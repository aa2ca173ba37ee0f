"""The shipped text is what was measured on, and says where it comes from; cutting and drawing lose nothing."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT

from course_utils.text import ALPHABET, Characters, course_text, split, windows

FILE = ROOT / "src" / "course_utils" / "text.txt"


def test_the_text_is_frozen() -> None:
    """Records hang on every character of it: a change here means that they are to be run again."""
    text = course_text()
    assert len(text) == 169_767
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    assert digest == "380f31f0073edaa652d8bbd1c5b10d45427ff3e766a2101aa0045004c66a8421"


def test_the_file_says_its_origin_and_licence_and_the_text_does_not() -> None:
    head, _, rest = FILE.read_text(encoding="ascii").partition("\n\n")
    assert all(line.startswith("# ") for line in head.splitlines())
    for word in (
        "Attention: From the Cocktail Party to FlashAttention",
        "21 November 2026",
        "CC BY 4.0",
        "LICENSE-TEXT",
    ):
        assert word in head
    assert rest == course_text()
    assert "#" not in rest


def test_the_text_is_prose_in_the_alphabet_one_paragraph_a_line() -> None:
    text = course_text()
    assert "".join(sorted(set(text))) == ALPHABET
    assert len(ALPHABET) == 48
    assert text.endswith("\n")
    paragraphs = text[:-1].split("\n")
    assert all(paragraph and paragraph == paragraph.strip() for paragraph in paragraphs)
    assert len(set(paragraphs)) == len(paragraphs)  # nothing that is tested on was trained on
    assert "  " not in text


def test_characters_there_and_back() -> None:
    text, characters = course_text(), Characters()
    ids = characters.encode(text)
    assert ids.shape == (len(text),)
    assert ids.dtype == torch.int64
    assert ids.unique().tolist() == list(range(len(characters)))
    assert characters.decode(ids) == text
    assert characters.decode([3, 47]) == ALPHABET[3] + "z"
    assert characters.encode("").shape == (0,)


@given(st.text(alphabet="xay", max_size=9))
def test_characters_of_another_alphabet(text: str) -> None:
    characters = Characters("yax")
    assert characters.encode(text).tolist() == ["yax".index(c) for c in text]
    assert characters.decode(characters.encode(text)) == text


@given(st.integers(0, 200))
def test_split_cuts_the_last_tenth(n: int) -> None:
    train, test = split(torch.arange(n))
    assert torch.cat((train, test)).tolist() == list(range(n))
    assert len(test) == n // 10


def test_windows_are_pieces_of_the_text() -> None:
    ids = torch.arange(100, 153)
    drawn = windows(ids, 7, 3_000, torch.Generator().manual_seed(0))
    assert drawn.shape == (3_000, 8)
    assert torch.equal(drawn - drawn[:, :1], torch.arange(8).expand(3_000, 8))
    assert drawn[:, 0].unique().tolist() == list(range(100, 146))  # every start, the last one included
    assert drawn.max() == 152


def test_windows_are_drawn_by_the_generator_alone() -> None:
    ids = torch.arange(53)
    first, second = (windows(ids, 7, 5, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)
    generator = torch.Generator().manual_seed(4)
    assert torch.equal(windows(ids, 7, 5, generator), first)
    assert not torch.equal(windows(ids, 7, 5, generator), first)
    assert windows(torch.arange(8), 7, 2, generator).tolist() == [list(range(8))] * 2


REFUSED = {
    r"Characters: text: expected characters of the alphabet only, got '!H'": lambda: Characters().encode("Hi!"),
    "Characters: ids: expected numbers from 0 to 47, got 48": lambda: Characters().decode([0, 48]),
    "Characters: ids: expected numbers from 0 to 2, got -1": lambda: Characters("abc").decode(torch.tensor([-1])),
    "Characters: alphabet: expected each character once": lambda: Characters("abca"),
    r"split: ids: expected shape \[N\], got \(2, 3\)": lambda: split(torch.zeros(2, 3)),
    r"windows: ids: expected shape \[N\]": lambda: windows(torch.zeros(2, 3), 1, 1, torch.Generator()),
    "windows: ids: expected more than 7 characters, got 7": lambda: windows(torch.arange(7), 7, 1, torch.Generator()),
    "windows: length, batch_size: expected at least 1, got 0 and 1": lambda: windows(
        torch.arange(7), 0, 1, torch.Generator()
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_work_is_refused_in_one_line(message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        REFUSED[message]()
    assert "\n" not in str(caught.value)
