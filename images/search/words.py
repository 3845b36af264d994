"""The search for images by words, each of which must match a text, an id, a digest or an owner."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Final

from django.db import connection
from django.db.models import Case, F, Q, QuerySet, When

from images.access import Caller, property_allowed
from images.models import Image
from images.models.lookups import IsAnyOf
from images.operations import known_digests
from images.search import index
from images.search.text import OS_PROPERTIES, BeginsWord, HasPart, SearchedText

MAX_WORDS: Final = 12  # further words of a search are ignored
FEW: Final = 3000  # images that are looked up by their ids
MORE: Final = 20_000  # the same, if the newest images do not match
# A match is expected to be as frequent among the newest images as among all.
NEWEST: Final = 5000
EXPECTED: Final = 25
PUNCTUATION: Final = '"[],\\'  # of the JSON of tags
ID: Final = re.compile("[0-9a-f][0-9a-f-]{5,35}")  # the beginning of an id
LAST: Final = "\U0010ffff"

# Of words: the ids of the projects that have the word in their names, by word.
FindOwners = Callable[[Sequence[str]], Mapping[str, Collection[str]]]


@dataclass(frozen=True)
class Word:
    """A word of a search, with the images and projects that it identifies without their texts.

    ``ids`` are the images whose id or digest it matches, ``owners`` the projects whose name it
    matches.
    """

    word: str
    ids: frozenset[str]
    owners: frozenset[str]

    @property
    def is_plain(self) -> bool:
        """Whether the word can be found only in the texts of images."""
        return not self.ids and not self.owners

    @property
    def is_indexed(self) -> bool:
        """Whether the index can find the word."""
        return connection.vendor == "postgresql" or not is_short(self.word)


def is_short(word: str) -> bool:
    """Return whether a word has fewer characters than a trigram; SQLite's index cannot find it."""
    return len(word) < index.SHORTEST


def words_of(text: str) -> list[str]:
    """Return the words of a search text, at most 12 and each once."""
    words = [word.strip(PUNCTUATION) for word in text.split()]
    return list(dict.fromkeys(filter(None, words)))[:MAX_WORDS]


def matching(
    images: QuerySet[Image],
    text: str,
    caller: Caller,
    find_owners: FindOwners = lambda words: {},
) -> QuerySet[Image]:
    """Return those of ``images`` that match every word of a search text; all if the text is empty.

    A word matches as part of the name, of a tag or of a property of the operating system that the
    caller is allowed to read; with one or two characters, as the beginning of a word there. It also
    matches as the beginning of the id, with at least 6 digits; as a digest of the data; and as part
    of the name of the project that owns the image, which ``find_owners`` looks up. Upper and lower
    case are the same. A few queries, whose number depends on the text only.
    """
    words = words_of(text)
    if not words:
        return images.none() if text.strip() else images
    owners = find_owners(words)
    parsed = [
        Word(word, frozenset(_ids(word)), frozenset(owners.get(word, ())))
        for word in words
    ]
    readable = [
        name for name in OS_PROPERTIES if property_allowed(caller, "read", name)
    ]
    matched = Q(*(_condition(word, readable) for word in parsed))
    few = _few(parsed, matched)
    if few is None:
        return images.filter(matched)
    is_exact = connection.vendor == "postgresql" and len(readable) == len(OS_PROPERTIES)
    if is_exact and (len(parsed) == 1 or all(word.is_plain for word in parsed)):
        return images.filter(few)
    return images.filter(few, matched)


def _condition(word: Word, readable: Sequence[str]) -> Q:
    condition = _in_text(word.word, OS_PROPERTIES)
    if len(readable) < len(OS_PROPERTIES):
        # The first condition has an index.
        condition &= _in_text(word.word, readable)
    return condition | _by_name(word)


def _by_name(word: Word) -> Q:
    condition = Q()
    if word.ids:
        condition |= _among("pk", word.ids)
    if word.owners:
        condition |= _among("owner", word.owners)
    return condition


def _among(column: str, values: Collection[str]) -> Q:
    return Q(IsAnyOf(F(column), sorted(values)))


def _in_text(word: str, properties: Collection[str]) -> Q:
    # PostgreSQL searches tags in their JSON.
    written = {word, json.dumps(word, ensure_ascii=False)[1:-1]}
    text, lookup = SearchedText(properties), BeginsWord if is_short(word) else HasPart
    return reduce(or_, (Q(lookup(text, one)) for one in sorted(written)))


def _ids(word: str) -> list[str]:
    """Return the ids of the images that a word names: by a digest, or by the beginning of the id."""
    images = Image.objects.order_by().values_list("pk", flat=True)
    if with_digest := known_digests.having_text(word):
        return list(images.filter(with_digest)[:FEW])
    if not ID.fullmatch(word.lower()):
        return []
    # Ids keep the case in which a client sent them, and databases compare case.
    begin = reduce(or_, map(_begins_with, sorted({word, word.lower(), word.upper()})))
    return list(images.filter(begin)[:FEW])


def _begins_with(text: str) -> Q:
    if connection.vendor == "sqlite":  # has no index for LIKE
        return Q(pk__gte=text, pk__lt=text + LAST)
    return Q(pk__startswith=text)


def _few(words: Sequence[Word], matched: Q) -> Q | None:
    """Return a condition that names the few images that can match; None if many can, or unknown.

    Without it, databases that misjudge a rare word would look for it in all images, the newest
    first. ``matched`` is the condition that all words match.
    """
    indexed = [word for word in words if word.is_indexed]
    plain = [word for word in indexed if word.is_plain]
    chosen = plain or indexed[:1]
    if not chosen or not index.exists():
        return None
    texts = [word.word for word in chosen]
    # SQLite finds ids faster than it reads texts.
    found = _find(texts, MORE if connection.vendor == "sqlite" else FEW)
    if found is None and connection.vendor == "postgresql":
        found = None if _is_frequent(matched) else _find(texts, MORE)
    if found is None:
        return None
    return reduce(or_, map(_by_name, chosen), _among("pk", found))


def _is_frequent(matched: Q) -> bool:
    """Return whether enough of the newest images match that a list finds its first page among them."""
    newest = Image.objects.existing().order_by("-created_at", "-id")
    tested = newest.annotate(matches=Case(When(matched, then=True), default=False))
    sql, params = tested.values("matches")[:NEWEST].query.sql_with_params()
    # A condition on the newest images alone: PostgreSQL would first look for all images that match.
    found = f"SELECT 1 FROM ({sql}) AS newest WHERE matches LIMIT {EXPECTED}"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM ({found}) AS found", params)
        return bool(cursor.fetchone()[0] == EXPECTED)


def _find(words: Sequence[str], most: int) -> list[str] | None:
    """Return the ids of the images whose texts contain all words; None if they are over ``most``."""
    if connection.vendor == "sqlite":
        found = index.find_in_fts5(connection, words, most + 1)
    else:
        in_texts = reduce(and_, (_in_text(word, OS_PROPERTIES) for word in words))
        images = Image.objects.order_by().filter(in_texts)
        found = list(images.values_list("pk", flat=True)[: most + 1])
    return found if len(found) <= most else None
