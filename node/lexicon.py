"""Finds body regions and sides in free text, in nine languages; the words themselves lie in node/facts/words*.py.

Text in headers is a hint that people typed. What is found here is evidence, never proof; who wins over whom is decided
in node/facts/bodypart.py.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

from node.facts import words, words_east
from node.facts.regions import PAIRED, REGION_OF_CODE, Region, most_exact

MAX_TEXT = 512
"""Characters of a text that are looked at; a description has 64, a hostile one millions."""

_SPLIT = re.compile(r"[^\W\d_]+|\d+")
_EAST = r"\u2e80-\u9fff\uf900-\ufaff\uac00-\ud7af\u3040-\u30ff"
_EAST_RUN = re.compile(f"[{_EAST}]+")
_WEST_RUN = re.compile(rf"[^{_EAST}]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_GLUED = re.compile(r"^(?:lt|rt|left|right|both|bilat|l|r)?(?P<core>[a-z]{3,}?)(?:lt|rt|left|right|ap|pa|lat|l|r)?$")
_GLUED_MIN = 4  # "larm" may be an alarm; "lhip" and "rhip" are let through by name
_LONGEST_PHRASE = 5

_LEFT = (
    "left lt links linke linker linkes linken li gauche gche izquierda izquierdo izq izqda sinistra sinistro "
    "esquerda esquerdo"
)
_RIGHT = (
    "right rt rechts rechte rechter rechtes rechten re droite droit dte derecha derecho dcha destra destro "
    "direita direito"
)
_BOTH = (
    "both bilat bilateral bilaterally beidseits beide beider bds bilaterale bilaterales ambos ambas entrambi entrambe "
    "comparatif comparative"
)
_SIDES = {
    word: side for side, text in (("L", _LEFT), ("R", _RIGHT), ("B", _BOTH)) for word in text.split()
}  # fmt: skip
_EAST_SIDES = (("B", "両 双 兩 两侧 양측 양쪽 양"), ("L", "左 좌측 왼"), ("R", "右 우측 오른"))
_EAST_ALONE = {"좌": "L", "우": "R"}
_FRENCH_SIDES = {"g": "L", "d": "R"}


@dataclass(frozen=True, slots=True)
class _Tables:
    """The words in the form they are looked up."""

    phrases: dict[tuple[str, ...], tuple[Region, ...]]
    stems: dict[tuple[str, ...], tuple[Region, ...]]
    """Phrases whose last word may have any ending."""
    stem_openings: frozenset[tuple[str, ...]]
    """What stands before that last word, mostly nothing."""
    east: dict[str, tuple[Region, ...]]
    east_alone: dict[str, tuple[Region, ...]]
    longest_east: int


def regions_in(text: str, *, is_term: bool = False) -> tuple[Region, ...]:
    """The body regions that a text names, most exact only, in the order of the text.

    Parameters
    ----------
    text
        As decoded, any language.
    is_term
        True where the field holds a body part and nothing else (*Body Part Examined* (0018,0015)): words that mean
        something else in another language count too ("MAIN", "FACE").
    """
    return _regions_in(text[:MAX_TEXT], is_term)


@lru_cache(maxsize=512)  # the images of a study repeat each other
def _regions_in(text: str, is_term: bool) -> tuple[Region, ...]:
    text = unicodedata.normalize("NFKC", text)
    found = _east_regions(text)
    for run in _WEST_RUN.findall(text):
        found += _west_regions(words_of(run), run, is_term)
    return most_exact(found)


def side_in(text: str, regions: tuple[Region, ...] = ()) -> str:
    """ "L", "R", "B" (both) or "" for the side a text names.

    A single letter counts only beside the word of a paired region ("KNEE R", "R HAND"); French "d" and "g" only beside
    French words. A text that names both sides says "B".
    """
    return _side_in(text[:MAX_TEXT], regions)


@lru_cache(maxsize=512)
def _side_in(text: str, regions: tuple[Region, ...]) -> str:
    text = unicodedata.normalize("NFKC", text)
    tokens = words_of(text)
    sides = {_SIDES[token] for token in tokens if token in _SIDES}
    sides |= _letter_sides(tokens)
    for run in _EAST_RUN.findall(text):
        sides |= _east_side(run)
    if not sides and set(regions or regions_in(text)) & PAIRED:
        sides = _glued_side(tokens)
    if "B" in sides or len(sides) == 2:
        return "B"
    return sides.pop() if sides else ""


def region_of_code(value: str) -> Region | None:
    """The region of a SNOMED code value, CT or the retired RT spelling; None when we do not know it."""
    return REGION_OF_CODE.get(value.strip().upper())


def fold(text: str) -> str:
    """Small letters without accents, for letters of the Latin script only; the rest is left alone."""
    return "".join(_plain(letter) for letter in text.casefold())


def words_of(text: str) -> list[str]:
    """Words and numbers of a text, folded; "KneeAP" and "KNEE_AP" are two words, "T2w" three."""
    return _SPLIT.findall(fold(_CAMEL.sub(" ", text)))


def _plain(letter: str) -> str:
    if not ("\u00c0" <= letter <= "\u024f" or "\u1e00" <= letter <= "\u1eff"):
        return letter
    return "".join(part for part in unicodedata.normalize("NFD", letter) if not unicodedata.combining(part))


def _west_regions(tokens: list[str], text: str, is_term: bool) -> list[Region]:
    tables = _tables()
    found: list[Region] = []
    place = 0
    while place < len(tokens):
        taken, regions = _longest(tokens, place, tables)
        if taken == 0:
            taken, regions = 1, _lone(tokens, place, is_term)
        found += regions
        place += taken
    if not found:
        found += [words.ACCENTED[word] for word in re.findall(r"\w+", text.casefold()) if word in words.ACCENTED]
    return found


def _longest(tokens: list[str], place: int, tables: _Tables) -> tuple[int, tuple[Region, ...]]:
    """How many words from `place` make an entry, and what it means; 0 when none does."""
    for count in range(min(_LONGEST_PHRASE, len(tokens) - place), 0, -1):
        phrase = tuple(tokens[place : place + count])
        if phrase in tables.phrases:
            return count, tables.phrases[phrase]
        if phrase[:-1] in tables.stem_openings:
            for length in range(len(phrase[-1]), 0, -1):
                stem = (*phrase[:-1], phrase[-1][:length])
                if stem in tables.stems:
                    return count, tables.stems[stem]
    return 0, ()


def _lone(tokens: list[str], place: int, is_term: bool) -> tuple[Region, ...]:
    """A word that is no entry: one that needs company, or one with a side or view glued to it ("RTKNEE")."""
    word = tokens[place]
    if is_term and word in _strict():
        return (_strict()[word],)
    if word in words.COMPANY:
        region, company = words.COMPANY[word]
        near = tokens[max(0, place - 3) : place] + tokens[place + 1 : place + 4]
        return (region,) if not set(near).isdisjoint(company.split()) else ()
    glued = _GLUED.match(word)
    core = glued["core"] if glued else word
    if core != word and (len(core) >= _GLUED_MIN or core == "hip"):
        return _tables().phrases.get((core,), ())
    return ()


def _east_regions(text: str) -> list[Region]:
    tables = _tables()
    found: list[Region] = []
    for run in _EAST_RUN.findall(text):
        if run in tables.east_alone:
            found += tables.east_alone[run]
            continue
        place = 0
        while place < len(run):
            for count in range(min(tables.longest_east, len(run) - place), 0, -1):
                part = run[place : place + count]
                if part in tables.east:
                    found += tables.east[part]
                    break
            else:
                count = 1
            place += count
    return found


def _letter_sides(tokens: list[str]) -> set[str]:
    """Single letters beside the word of a paired region."""
    sides: set[str] = set()
    for place, token in enumerate(tokens):
        if token not in ("l", "r", "g", "d"):
            continue
        before = [word for word in tokens[:place] if word not in ("l", "r")][-1:]  # "KNEE R/L" is beside for both
        after = [word for word in tokens[place + 1 :] if word not in ("l", "r")][:1]
        if not any(_names_paired(near) for near in (before, after)):
            continue
        if token in "lr":
            sides.add(token.upper())
        elif before and before[0] in _FRENCH_PAIRED:
            sides.add(_FRENCH_SIDES[token])
    return sides


_FRENCH_TEXT = "genou main mains pied cheville hanche epaule coude poignet jambe cuisse bras doigt pouce rotule"
_FRENCH_PAIRED = frozenset(_FRENCH_TEXT.split())


def _names_paired(tokens: list[str]) -> bool:
    if not tokens:
        return False
    if tokens[0] in ("main", "mains"):
        return True
    _, regions = _longest(tokens, 0, _tables())
    return not set(regions).isdisjoint(PAIRED)


def _glued_side(tokens: list[str]) -> set[str]:
    """The side in "RTKNEE" or "KNEER"."""
    sides = set()
    for token in tokens:
        if _longest([token], 0, _tables())[0]:
            continue  # "femoral" is no "femora L"
        match = re.fullmatch(
            r"(?P<before>lt|rt|left|right|l|r)?(?P<core>[a-z]{3,}?)(?P<after>lt|rt|left|right|l|r)?", token
        )
        if match and match["core"] != token and (match["core"],) in _tables().phrases:
            side = match["before"] or match["after"]
            sides.add(side[0].upper())
    return sides


def _east_side(run: str) -> set[str]:
    if run in _EAST_ALONE:
        return {_EAST_ALONE[run]}
    sides = {side for side, signs in _EAST_SIDES if any(sign in run for sign in signs.split())}
    if not sides and run[0] in _EAST_ALONE and _east_regions(run[1:]):
        sides = {_EAST_ALONE[run[0]]}
    return sides


@cache
def _strict() -> dict[str, Region]:
    return {word.strip(): region for region, text in words.STRICT_WORDS.items() for word in text.split(",")}


@cache
def _tables() -> _Tables:
    phrases: dict[tuple[str, ...], tuple[Region, ...]] = {}
    stems: dict[tuple[str, ...], tuple[Region, ...]] = {}
    entries = [((region,), text) for region, text in words.WORDS.items()] + [((), words.NO_REGION)]
    for regions, text in entries:
        for entry in " ".join(text.split()).split(","):
            target = stems if entry.strip().endswith("*") else phrases
            key = tuple(entry.strip().rstrip("*").split())
            target[key] = (*target.get(key, ()), *regions)
            if target is phrases and len(key) > 1:
                phrases.setdefault(("".join(key),), regions)  # LOWERLEG, CSPINE: defined terms have no blanks
    east, alone = _east_tables()
    return _Tables(
        phrases=phrases,
        stems=stems,
        stem_openings=frozenset(stem[:-1] for stem in stems),
        east=east,
        east_alone=alone,
        longest_east=max(map(len, east)),
    )


def _east_tables() -> tuple[dict[str, tuple[Region, ...]], dict[str, tuple[Region, ...]]]:
    east: dict[str, tuple[Region, ...]] = dict.fromkeys(words_east.NO_REGION.split(), ())
    alone: dict[str, tuple[Region, ...]] = {}
    for region, text in words_east.WORDS.items():
        for entry in text.split():
            if entry.startswith("="):
                alone[entry[1:]] = (region,)
            else:
                east[entry] = (*east.get(entry, ()), region)
    return east, alone
