"""Which passwords are taken: long enough, and none that would be tried first.

After NIST SP 800-63B, section 3.1.1: a length, every character that can be printed, a list of what is commonly chosen,
and no rules of composition, which only make people write `Password1!`. Guesses are slowed down elsewhere.
"""

import unicodedata
from itertools import pairwise

MINIMUM_LENGTH = 8
MAXIMUM_LENGTH = 64
"""In characters, as Unicode counts them after normalization."""

_FEWEST_DIFFERENT = 4
_SERVICE = "aibridge"

_CHOSEN = """
password passw0rd p@ssword p@ssw0rd pa$$word pa$$w0rd passwort motdepasse contrasena passphrase passcode
qwerty qwertyui qwertyuiop qwertz qwertzuiop azerty azertyuiop asdfgh asdfghjk asdfghjkl zxcvbn zxcvbnm
qazwsx qazwsxedc 1qaz2wsx 1q2w3e4r 1q2w3e4r5t 1qaz2wsx3edc q1w2e3r4 q1w2e3r4t5 zaq12wsx zaq1zaq1 qweasdzxc
iloveyou iloveu sunshine princess football baseball basketball superman batman spiderman starwars pokemon
welcome letmein trustno1 whatever dragon monkey shadow master michael jennifer michelle jordan
computer internet samsung samsung1 liverpool chelsea arsenal barcelona mercedes porsche ferrari
administrator admin root toor guest default changeme changeit secret topsecret temporary letmein!
abcdefgh abcd1234 abc12345 a1b2c3d4 aa123456 asdf1234 qwer1234 11223344 12341234 12344321 147258369 123123123
hunter2 correcthorsebatterystaple blink182 nintendo playstation minecraft hello helloworld welcome1 login
summer winter spring autumn monday friday january december charlie jessica victoria alexander jonathan
google facebook linkedin microsoft dropbox openai anthropic claude chatgpt coder
"""
_COMMON = frozenset(_CHOSEN.split())
"""What people choose most, and what the gateway's surroundings suggest; without digits and signs around it."""


def normalized(password: str) -> str:
    """The one form of a password that looks the same however it was typed (NFKC), which is what is hashed."""
    return unicodedata.normalize("NFKC", password)


def objections(password: str, *, username: str = "", email: str = "") -> list[str]:
    """What is wrong with a new password, each as a sentence for whoever chose it; nothing when it is taken."""
    chosen = normalized(password)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in chosen):
        return ["A password has no control characters in it, and no halves of characters."]
    found = []
    if not MINIMUM_LENGTH <= len(chosen) <= MAXIMUM_LENGTH:
        found.append(f"A password has {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters, not {len(chosen)}.")
    folded = chosen.casefold()
    if len(set(folded)) < _FEWEST_DIFFERENT:
        found.append(f"A password has at least {_FEWEST_DIFFERENT} different characters.")
    if folded in _names(username, email) or _core(folded) in _names(username, email):
        found.append("A password is not one's username or email address, nor that with something around it.")
    if folded in _COMMON or _core(folded) in _COMMON or _core(folded) == _SERVICE or _is_row(folded):
        found.append("This password is one of the commonest, or nearly one, and would be guessed first.")
    return found


def _names(username: str, email: str) -> set[str]:
    names = [normalized(name).casefold() for name in (username, email, email.rpartition("@")[0])]
    return {form for name in names for form in (name, _core(name)) if form}


def _core(text: str) -> str:
    """What is left without the digits, signs and spaces around it: what people add to a word that is not enough."""
    letters = [at for at, character in enumerate(text) if character.isalpha()]
    return text[letters[0] : letters[-1] + 1] if letters else ""


def _is_row(text: str) -> bool:
    """Whether each character follows the one before it, up or down, as in 12345678, 7890123 or hgfedcba."""
    numbers = [int(character) if character.isdecimal() else ord(character) for character in text]
    steps = {after - before for before, after in pairwise(numbers)}
    return len(steps - {9, -9}) == 1 and bool(steps & {1, -1})
