"""Which older encoding a text is in, by what it says: in the right one its words are of one language.

General detectors (charset-normalizer 3.5, Mozilla's) want some hundred letters; a line of a script has ten.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

USUAL = "cp1252"
"""Latin-1 as it is written: with the quotes, dashes and the euro sign of Windows."""

_WORD = re.compile(
    r"[^\s\x00-\x40\x5b-\x60\x7b-\x7f\xa0“”„‘’‚«»‹›–—…•·°№€£§©®™¿¡ªº"
    r"\u3000-\u3003\u3008-\u3011\u30fb\uff01\uff08-\uff0c\uff0e\uff1a\uff1b\uff1f]+"
)
_CONTROL = re.compile(r"[\x80-\x9f\ue000-\uf8ff\ufffd]")
_NOT_FINAL = re.compile(r"[ךםןףץς](?=.)")
"""A letter in the form that it has at the end of a word, and in the middle of one."""

_SHOUTED = 0.8
"""What a word in capitals counts: small letters of one Cyrillic encoding are capitals of another."""

_LEAST = 0.2
"""A score below which no language is recognised: in a wrong encoding hardly a word makes sense."""


@dataclass(frozen=True)
class _Alphabet:
    """Letters that a language is written with."""

    encodings: tuple[str, ...]
    letters: str
    """Those that are not ASCII, in lower case; of Chinese, Japanese and Korean the usual characters."""

    usual: str = ""
    """The ones of another script than Latin that are met most often: most of a text. Empty: it is Latin."""

    def score(self, words: Sequence[str]) -> float:
        """How much of `words`, which all have letters that are not ASCII, is written like that: 0 to 1."""
        share = sum(map(self._fit, words)) / len(words)
        if not self.usual:
            return share
        text = "".join(words).lower()
        return share * sum(letter in self.usual for letter in text) / len(text)

    def _fit(self, word: str) -> float:
        is_shouted = len(word) > 1 and word == word.upper() != word.lower()
        if (word[1:] != word[1:].lower() and not is_shouted) or _NOT_FINAL.search(word):
            return 0.0
        others = [letter for letter in word.lower() if not letter.isascii()]
        mixes = len(others) < len(word)
        is_of_script = not mixes if self.usual else mixes or len(word) == 1
        if not is_of_script or not all(letter in self.letters for letter in others):
            return 0.0
        return _SHOUTED if is_shouted else 1.0


_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F7), 0x30FC)))
_HANGUL = (
    "이다는을의에가고하지로은인한를시자어나도사기리대해아서일수정보그전게것스부있라상으제만주여들장구면동우오안과내성소원선관용국경"
    "문조니세진당무실연회중분모최방비저신였적었학위요생았개치건러습까녕겠합작공늘좋감반갑네드마말했와된될때"
)
_HAN = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经"
    "么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三"
    "又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先"
    "海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管"
    "期市直资命山金指许统区保至队形社便空决治展马科司五基书非则听白却界达光放强即像难且思完设式色路记南品住告类求程北边该交规万取望"
    "觉领共确传师观清今切院让识候带导争运欢迎节始谢请晚吗您再"
    "這個們來為國說時會對過發後裡種經麼學現當沒動還進樣開從實軍無與長機關點業將兩間問應戰頭體見產東聲員論處義認條氣題變電數報結場"
    "計資許統區隊決馬書聽達強難權設記類據邊張該規萬覺領確傳師觀讓識帶導爭運歡節謝請嗎"
)
_RUSSIAN, _UKRAINIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"
_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"
_HEBREW = "".join(map(chr, (*range(0x05D0, 0x05EB), *range(0x05B0, 0x05BD))))
_ARABIC = "".join(map(chr, (*range(0x0621, 0x063B), *range(0x0640, 0x0653)))) + "پچژگکی"
_CYRILLIC = ("cp1251", "koi8_r", "cp866", "iso8859_5")
_CENTRAL = ("cp1250", "iso8859_2")
_JAPANESE = _KANA + "日本人年大会中一国今天気皆始見行来何私思言上下手話時事分後前"

_ALPHABETS = (  # where two fit as well, the first one is taken; German with the letters of its loan words
    _Alphabet((USUAL,), "äöüßéèàçëïñ"),
    *(
        _Alphabet((USUAL,), letters)
        for letters in (
            "àâæçèéêëîïôœùûüÿ",  # French
            "áéíñóúüç",  # Spanish
            "áàâãçéêíóôõúü",  # Portuguese
            "àèéìíîòóùú",  # Italian
            "åäöøæéüà",  # Danish, Norwegian, Swedish, Finnish
            "áðéíóúýþæö",  # Icelandic
            "àáèéíïòóúüç",  # Catalan
        )
    ),
    _Alphabet(_CENTRAL, "ąćęłńóśźż"),  # Polish
    _Alphabet(_CENTRAL, "áäčďéěíĺľňóôŕřšťúůýž"),  # Czech, Slovak
    _Alphabet(_CENTRAL, "áéíóöőúüű"),  # Hungarian
    _Alphabet(_CENTRAL, "čćđšž"),  # Croatian, Slovene
    _Alphabet(_CENTRAL, "ăâîşţ"),  # Romanian
    _Alphabet(
        ("cp1254", "iso8859_9"), "çğıiöşüâîû\u0307"
    ),  # Turkish; a dotted I in lower case is two characters
    _Alphabet(("cp1257", "iso8859_13"), "ąčęėįšųūž"),  # Lithuanian
    _Alphabet(("cp1257", "iso8859_13"), "āčēģīķļņšūž"),  # Latvian
    _Alphabet(("cp1257", "iso8859_13"), "äõöüšž"),  # Estonian
    _Alphabet(_CYRILLIC, _RUSSIAN, "оеаинтсрвлкмды"),
    _Alphabet(("cp1251", "koi8_u", "iso8859_5"), _UKRAINIAN, "оанивіертсклду"),
    _Alphabet(("cp1251",), "абвгдеёжзійклмнопрстуўфхцчшыьэюя", "аніыреолстквдм"),  # Belarusian
    _Alphabet(("cp1251", "iso8859_5"), "абвгдђежзијклљмнњопрстћуфхцчџш", "аоиенрстјукв"),  # Serbian
    _Alphabet(("cp1253", "iso8859_7"), _GREEK, "αοιετσνηυρπκμλ"),
    _Alphabet(("cp1255", "iso8859_8"), _HEBREW, "יוהלארתשמבםן"),
    _Alphabet(("cp1256", "iso8859_6"), _ARABIC, "اليمنورتبعهدسف"),
    _Alphabet(("cp932", "euc_jp"), "", _JAPANESE),
    _Alphabet(("cp949",), "", _HANGUL),
    _Alphabet(("gb18030", "big5"), "", _HAN),
)


def python_name(name: str) -> str:
    """That of an encoding of text, as a locale or a person calls it; empty: there is none of that name."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    is_of_text = getattr(codec, "_is_text_encoding", True)  # not base64, rot13...
    return codec.name.replace("-", "_") if is_of_text and _reads_anything(codec) else ""


def _reads_anything(codec: codecs.CodecInfo) -> bool:
    """Whether it goes on behind what is no text of its: those of host names (idna, punycode) do not."""
    if not codec.incrementaldecoder:
        return False
    try:
        codec.incrementaldecoder("replace").decode(b"\xff-\xff", True)
    except UnicodeError:
        return False
    return True


def guess_encoding(data: bytes, *, preferred: str = "") -> str:
    """Python's name of the encoding that `data`, no UTF-8, is likely to be in; it may break off anywhere.

    Where its language is none that we know it is `USUAL`. One that is `preferred` wins where others are no
    better.
    """
    best, best_score = USUAL, _LEAST
    decoded = {name: words for name in _names(preferred) if (words := _words(data, name))}
    for alphabet in _ALPHABETS:
        for name in sorted(alphabet.encodings, key=lambda name: name != preferred):
            score = _score(alphabet, decoded[name]) if name in decoded else 0.0
            if score > best_score or (score == best_score and name == preferred != best):
                best, best_score = name, score
    return best


def _names(preferred: str) -> list[str]:
    names = {name: None for alphabet in _ALPHABETS for name in alphabet.encodings}
    return sorted(names, key=lambda name: name != preferred)


def _score(alphabet: _Alphabet, words: Sequence[str]) -> float:
    if alphabet.letters:
        return alphabet.score(words)
    text = "".join(letter for word in words for letter in word if not letter.isascii())
    return sum(letter in alphabet.usual for letter in text) / len(text)


def _words(data: bytes, encoding: str) -> list[str]:
    """Those that have letters that are not ASCII; none where it cannot be in this encoding."""
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(data)
    except UnicodeDecodeError:
        return []
    return [] if _CONTROL.search(text) else [word for word in _WORD.findall(text) if not word.isascii()]
