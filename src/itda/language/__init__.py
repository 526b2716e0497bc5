"""What Itda says to people: messages as data, said once, in the words of a face and a language."""

from itda.language.catalogue import (
    LANGUAGES,
    SOURCE,
    TRANSLATIONS,
    choose_code,
    chosen_language,
    translations,
)
from itda.language.faces import COMMAND_LINE, PYTHON, REQUEST, Face
from itda.language.message import Message, Option, counted, from_data, joined, mark, said

__all__ = [
    "COMMAND_LINE",
    "LANGUAGES",
    "PYTHON",
    "REQUEST",
    "SOURCE",
    "TRANSLATIONS",
    "Face",
    "Message",
    "Option",
    "choose_code",
    "chosen_language",
    "counted",
    "from_data",
    "joined",
    "mark",
    "said",
    "translations",
]
