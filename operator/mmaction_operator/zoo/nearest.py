"""Which configs somebody may have meant by a name that does not exist.

Names are long compounds such as `slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb`, and people write a part of one: the
family, the family and the backbone, a file name with its path. Similarity of the whole text would put the shortest
names first, whatever they are, so words count before it: a name is near if it or its family shares words with it.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

LIMIT = 5
WORD_CUTOFF = 0.75
TEXT_CUTOFF = 0.6


def nearest(name: str, families: Mapping[str, str]) -> tuple[str, ...]:
    """Up to five keys of `families` (config name -> family), the likeliest first; none if nothing is alike."""
    asked = PurePosixPath(name.strip().lower()).name.removesuffix(".py")
    words = {known: _words(known.lower()) | {family} for known, family in families.items()}
    vocabulary = sorted(set().union(*words.values()))
    meant = {
        match
        for word in _words(asked)
        for match in difflib.get_close_matches(word, vocabulary, n=1, cutoff=WORD_CUTOFF)
    }
    alike = {known: difflib.SequenceMatcher(None, asked, known).ratio() for known in families}
    likely = [known for known in families if words[known] & meant or alike[known] >= TEXT_CUTOFF]
    likely.sort(key=lambda known: (-len(words[known] & meant), -alike[known], known))
    return tuple(likely[:LIMIT])


def _words(name: str) -> set[str]:
    return {word for word in re.split(r"[-_/.]", name) if word}
