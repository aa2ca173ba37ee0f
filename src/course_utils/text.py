"""A text to learn from, letter by letter: this course's own prose.

`text.txt` beside this file holds the prose of the introduction, of chapters 00 to 05 and of their assignments as they
stood on 21 November 2026, without code, tables and formulas, and without the sentences that hold any. It is the
course's own text, under the licence of all its text, CC BY 4.0. It is frozen: recorded experiments were trained on it.

A paragraph is a line. The text is in lower case: a capital tells little that the full stop before it does not, and
costs a small model a second alphabet. Quotation marks and dashes are the plain ones, accents are taken off.

Shapes: ``N`` characters of a text, ``B`` batch, ``T`` time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

import torch
from torch import Tensor

#: Every character of :func:`course_text`, in the order of their numbers.
ALPHABET = "\n \"'(),-.0123456789:;?abcdefghijklmnopqrstuvwxyz"
TEST_SHARE = 10  # the last of so many equal parts is for testing


def course_text() -> str:
    """Return the text, without the lines at the head of the file that say whence it comes."""
    text = resources.files("course_utils").joinpath("text.txt").read_text(encoding="ascii")
    return text.split("\n\n", 1)[1]


@dataclass(frozen=True)
class Characters:
    """A vocabulary of single characters.

    Attributes:
        alphabet: all of them, each once; a character's number is its place.

    Raises:
        ValueError: if a character is there twice.
    """

    alphabet: str = ALPHABET

    def __post_init__(self) -> None:
        if len(set(self.alphabet)) != len(self.alphabet):
            raise ValueError("Characters: alphabet: expected each character once, got one twice")

    def __len__(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> Tensor:
        """Characters to numbers, ``[N]``, int64.

        Raises:
            ValueError: if a character is not in the alphabet.
        """
        numbers = {character: number for number, character in enumerate(self.alphabet)}
        unknown = sorted(set(text) - set(numbers))
        if unknown:
            raise ValueError(f"Characters: text: expected characters of the alphabet only, got {''.join(unknown)!r}")
        return torch.tensor([numbers[character] for character in text], dtype=torch.int64)

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """Numbers to characters.

        Raises:
            ValueError: if a number is not that of a character.
        """
        numbers = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        wrong = [number for number in numbers if not 0 <= number < len(self)]
        if wrong:
            raise ValueError(f"Characters: ids: expected numbers from 0 to {len(self) - 1}, got {wrong[0]}")
        return "".join(self.alphabet[number] for number in numbers)


def split(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Cut a text in two: ``(train, test)``, where ``test`` is its last tenth, rounded down.

    Args:
        ids: ``[N]``.

    Raises:
        ValueError: if ``ids`` is not one-dimensional.
    """
    _one_text("split", ids)
    n_train = len(ids) - len(ids) // TEST_SHARE
    return ids[:n_train], ids[n_train:]


def windows(ids: Tensor, length: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """Pieces of a text from random places: the first ``length`` characters to read, each one's successor to predict.

    Args:
        ids: ``[N]``.
        length: T.
        batch_size: B.
        generator: draws where the pieces begin, all places alike; two may overlap.

    Returns:
        ``[B, T + 1]``: ``[:, :-1]`` is the input, ``[:, 1:]`` the target.

    Raises:
        ValueError: if ``ids`` is not one-dimensional or shorter than a piece, or a size is not positive.
    """
    _one_text("windows", ids)
    if length < 1 or batch_size < 1:
        raise ValueError(f"windows: length, batch_size: expected at least 1, got {length} and {batch_size}")
    if len(ids) <= length:
        raise ValueError(f"windows: ids: expected more than {length} characters, got {len(ids)}")
    starts = torch.randint(len(ids) - length, (batch_size, 1), generator=generator)
    return ids[starts + torch.arange(length + 1)]


def _one_text(name: str, ids: Tensor) -> None:
    if ids.ndim != 1:
        raise ValueError(f"{name}: ids: expected shape [N], got {tuple(ids.shape)}")
