from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.sentences import certain_ends, is_likely_complete, sentence_ends

PIECES = [
    *"abcAB .!?,;:\"'()[]<>«»“”*`-•1234\n\t…。！？」「।۔։",
    *(
        "\u00a0",
        "\u0301",
        "\u2028",
        "👍",
        "\u200d",
        "İ",
        "U.S.",
        "Dr.",
        "p.m.",
        "e.g.",
        "\n\n",
        "1.",
        "a)",
        "a@b.co",
    ),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs"]), max_size=40).map("".join)
WORDS = st.sampled_from(["Hello", "the", "world", "I", "Anna", "goes", "home", "日本", "है"])
WHOLE = [
    *("3.14", "1,000.50", "10:30", "$1.50", "v2.0.1", "U.S. Army", "e.g. this", "Dr. Smith", "z. B. hier"),
    *(
        "5 p.m. tomorrow",
        "J. R. R. Tolkien",
        "No. 5",
        "Acme Inc. on",
        "https://a.b/C.D?e=F!G",
        "ann@example.com",
    ),
    *("Mr. and Mrs. Jones", "Wait... what", "Fig. 2", "Yahoo! is", "Hello.World"),
]


def cut(text: str) -> list[str]:
    ends = [0, *sentence_ends(text), len(text)]
    return [text[start:end].strip() for start, end in itertools.pairwise(ends)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Hello there.", "How are you?", "Fine!"],
        ["Meet at 5 p.m. tomorrow in the U.S. office of Acme Inc. on Jan. 5."],
        ["It was 3.14 and $1,000.50 at 10:30 p.m. sharp.", "Dr. Smith of the U.S. Army came."],
        ["See https://a.b/c?d=1.", "Or mail a.b@c.de.", "Version 2.0.1 is out."],
        ["J. R. R. Tolkien wrote it.", "He died."],
        ["1. First item.", "2. Second item."],
        ["hello there.", "how are you.", "fine thanks"],
        ['He said "Hello.', 'There."', "She left."],
        ['"No!" she said.', '"Yes," he said.'],
        ["(It is.", "Yes.)", "Really."],
        ["**Note.**", "*Good.*", "Fine."],
        ["Wait... what?", "Yes…", "Maybe."],
        ["Das Treffen ist am 3. Oktober um 5 Uhr.", "Es gibt z. B. Kuchen, d. h. viel."],
        ["It is approx. 5 km to Str. 7.", "See Vol. 3, Abb. 4."],
        ["Dr. Müller wohnt im 3. Stock.", "Er ist nicht da."],
        ["M. Dupont est arrivé à 10 h.", "Il est parti."],
        ["El Sr. López no está en EE. UU. ayer.", "¿Cómo estás?", "¡Bien!"],
        ["यह पहला वाक्य है।", "यह दूसरा है।"],
        ["یہ پہلا جملہ ہے۔", "یہ دوسرا ہے۔"],
        ["هل أنت هنا؟", "نعم أنا هنا."],
        ["Սա առաջինն է։", "Սա երկրորդն է։"],
        ["ይህ ነው።", "ያ ነው።"],
        ["ဒါက တစ်ခု။", "ဒါက နှစ်ခု။"],
        ["នេះគឺមួយ។", "នោះគឺពីរ។"],
        ["ฉันชื่อสมชายและฉันเป็นครู", "วันนี้อากาศดีมากเราไปเที่ยวทะเลกัน"],
        ["ผมใช้ iPhone 15 และ iPad ครับ"],
    ],
)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences


ABBREVIATED = [
    *(
        "Meet at 5 p.m. tomorrow in the U.S. office of Acme Inc. on Jan. 5.",
        "Gov. Smith and Sen. Jones met Gen. Lee on Mon. at 9 a.m. sharp.",
        "He lives at 5 Main St. in St. Louis near Mt. Hood.",
        "George W. Bush and J. R. R. Tolkien knew John F. Kennedy Jr. well.",
        "See p. 5, pp. 6-7, ch. 3, sec. 4, fig. 2, cf. No. 10, vs. all others, etc. in the end.",
        "She is 5 ft. 6 in. tall and weighs 120 lbs. or so.",
        "I have a Ph.D. in physics and met Lt. Col. Smith in Washington D.C. last week.",
        "Smith et al. (2020) show that e.g. 3.14 at 10.30 a.m. of v2.0.1 is so.",
    ),
    *(
        "Dr. med. Müller wohnt in der Hauptstr. 5 in Berlin.",
        "Das ist z.B. ein Test, d.h. ein Versuch, u.a. für Sie, und z. B. bzw. ggf. noch etwas.",
        "Am 24. Dezember 2024 und am 1. Januar 2025, im 19. Jahrhundert und im 2. Weltkrieg.",
        "Das kostet ca. 5 Euro inkl. MwSt. und zzgl. Versand.",
        "Siehe S. 5 ff. und Nr. 7 sowie Kap. 3.",
        "Herr Prof. Dr. Schmidt und Frau Dipl.-Ing. Meier kommen.",
    ),
    *(
        "M. Dupont et Mme. Martin et Mlle. Petit habitent au 5, av. Foch à Paris.",
        "J'ai vu M. Dupont et MM. Petit dans la ville de St. Denis, et ils ne sont pas venus.",
        "Die Fa. Bosch und der hl. Nikolaus sind nicht da.",
        "De heer dr. Jansen en mw. De Vries, o.a. Piet, zijn er niet.",
        "It is approx. Five or so, ad es. Milano, t.ex. Malmö, bl.a. Lund, т. е. Иван.",
        "J.-C. est né au Ier s. av. J.-C. en Palestine, etc. dans la salle.",
        "El Sr. García y la Sra. López viven en la Av. Juárez núm. 5.",
        "D. José y Dña. María llegaron a las 5 p. m. de la tarde.",
        "Il sig. Rossi e la sig.ra Bianchi abitano in via Roma n. 5.",
        "Il dott. Verdi e l'ing. Neri sono qui, ecc. ecc. in ufficio.",
        "O Dr. Pereira e a Profa. Lima moram na Av. Paulista, etc. e tal.",
        "De heer dr. Jansen en mevr. De Vries wonen op nr. 5.",
        "Dat is bijv. een test, d.w.z. een proef van Drs. P. op blz. 5.",
        "Это г. Москва, ул. Ленина, т.е. центр.",
    ),
]


@pytest.mark.parametrize("sentence", ABBREVIATED)
def test_abbreviations_end_no_sentence_and_the_mark_behind_them_does(sentence: str) -> None:
    assert cut(sentence) == [sentence]
    assert cut(f"{sentence} And that is all.") == [sentence, "And that is all."]
    assert certain_ends(f"{sentence} And that") == [len(sentence)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["It is 5 p.m.", "We go home now."],
        ["He works for Acme Inc.", "She works for Ford Co.", "They work."],
        ["I live in the U.S.", "You live in France."],
        ["Is this plan B?", "No, plan A.", "It has vitamin C.", "It is good."],
        ["I have 5.", "You have 6.", "He was born in 1984.", "So was I."],
        ["Tengo 5.", "Ella tiene 6.", "Quiero ir.", "Y tú también."],
        ["This is a hidden gem.", "It is mine."],
        ["hello there.", "how are you.", "fine thanks"],
        ["He left.[1]", "She stayed.[2][3]", "They slept.¹", "Good."],
        ["„Guten Tag.“", "Sie geht.", "»Nein!«", "Gut."],
        ["« Bonjour. »", "Elle part."],
    ],
)
def test_abbreviations_that_end_a_sentence_do(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences


DANDA = [
    ["यह पहला वाक्य है।", "यह दूसरा है।", "क्या तुम हो?"],
    ["यह एक है॥", "यह दो है॥"],
    ["এটা প্রথম বাক্য।", "এটা দ্বিতীয়।"],
    ["ਇਹ ਪਹਿਲਾ ਵਾਕ ਹੈ।", "ਇਹ ਦੂਜਾ ਹੈ।"],
    ["ଏହା ପ୍ରଥମ।", "ଏହା ଦ୍ୱିତୀୟ।"],
    ["இது முதல் வாக்கியம்.", "இது இரண்டாவது."],
    ["یہ پہلا جملہ ہے۔", "کیا یہ دوسرا ہے؟", "ہاں!"],
    ["این جمله اول است.", "آیا این دوم است؟", "بله."],
    ["هذه جملة أولى.", "هل هذه ثانية؟", "نعم!"],
    ["זה המשפט הראשון.", "זה השני?", "כן!"],
    ["Սա առաջինն է։", "Սա երկրորդն է։", "Սա երրորդն է:", "Այո։"],
    ["ይህ ነው።", "ያ ነው፧", "አዎ ነው።"],
    ["ဒါက တစ်ခု။", "ဒါက နှစ်ခု။"],
    ["នេះគឺមួយ។", "នោះគឺពីរ៕", "ទេ។"],
    ["བོད་ཡིག་འདི།", "གཉིས་པ་འདི།"],
    ["ᠮᠣᠩᠭᠣᠯ᠃", "ᠬᠣᠶᠠᠷ᠃"],
    ["ꯃꯁꯤ ꯑꯍꯥꯟꯕꯅꯤ꯫", "ꯃꯁꯤ ꯑꯅꯤꯁꯨꯕꯅꯤ꯫"],
    ["ᱱᱚᱣᱟ ᱢᱤᱫ᱾", "ᱱᱚᱣᱟ ᱵᱟᱨ᱾"],
    ["Это первое предложение.", "Это второе?", "Да!"],
    ["Αυτό είναι το πρώτο.", "Είναι αυτό το δεύτερο;", "Ναι."],
    ["ეს პირველია.", "ეს მეორეა."],
    ["첫 번째 문장입니다.", "두 번째입니까?", "네!"],
    ["这是第一句。", "這是第二句？", "他說：「好。」", "好！"],
    ["これは一つ目です．", "本当？！", "すごい！！", "二つ目です｡", "はい。"],
    ["Hello‼", "Really⁉", "What?!", "Wow⁇", "Yes."],
]


@pytest.mark.parametrize("sentences", DANDA)
def test_danda_and_the_marks_of_other_scripts_end_a_sentence_and_soon(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences
    for before, after in itertools.pairwise(sentences):
        assert is_likely_complete(f"{before} ", 0.3), "in the silence behind it"
        assert certain_ends(f"{before} {after} ")[:1] == [len(before)], "with the next one in sight"


@pytest.mark.parametrize(
    "sentences",
    [
        ["今日は。", "いい天気ですね！", "そうですか？", "「はい。", "そうです。」と言った。", "終わり。"],
        ["你好！", "再见。", "我们走吧？", "好的。"],
        ["圆周率是3.14。", "好。"],
    ],
)
def test_chinese_and_japanese_need_no_space(sentences: list[str]) -> None:
    assert cut("".join(sentences)) == sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("one two\nthree. four\nfive", ["one two\nthree.", "four\nfive"]),
        ("Title\n\nText", ["Title", "Text"]),
        ("Text\n\n", ["Text", ""]),
        ("Buy:\n- milk\n- eggs\nThanks", ["Buy:", "- milk", "- eggs", "Thanks"]),
        ("1. a\n2. b", ["1. a", "2. b"]),
        (
            "Done. [pause 1.5s] Next. <break time='1s'/> End",
            ["Done.", "[pause 1.5s] Next.", "<break time='1s'/> End"],
        ),
        ("Great! 🎉 Now 🎉🎉", ["Great!", "🎉 Now 🎉🎉"]),
        ("Only this. 🎉 !!", ["Only this. 🎉 !!"]),
    ],
)
def test_layout_ends_sentences_too(text: str, sentences: list[str]) -> None:
    assert cut(text) == sentences


@given(TEXTS)
def test_ends_are_in_order_and_inside_the_text(text: str) -> None:
    ends = sentence_ends(text)
    assert ends == sorted(set(ends))
    assert all(0 < end <= len(text) for end in ends)
    assert set(certain_ends(text)) <= set(ends)


@given(st.lists(WORDS, max_size=5), st.sampled_from(WHOLE), st.lists(WORDS, min_size=1, max_size=5))
def test_no_end_falls_inside_a_number_an_abbreviation_or_an_address(
    before: list[str], whole: str, after: list[str]
) -> None:
    text = " ".join([*before, whole, *after])
    start = text.index(whole)
    assert not [end for end in sentence_ends(text) if start < end < start + len(whole)]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Hello there.", []),
        ("Hello there. ", []),
        ("Hello there. A", [12]),
        ("In the U.S. The", []),
        ("In the U.S. The ", [11]),
        ("In the U.S. Theodore ", []),
        ("今日は。", []),
        ("今日は。い", [4]),
        ("「はい。", []),
        ("para\n\n", [4]),
        ("Buy:\n-", []),
        ("Buy:\n- m", [4]),
    ],
)
def test_an_end_is_certain_when_enough_is_seen_behind_it(text: str, ends: list[int]) -> None:
    assert certain_ends(text) == ends


@given(
    st.lists(
        st.sampled_from([*WHOLE, "Hello.", "And so", "the end.", "Really?", "日本。", "\n\n", "- a"]),
        max_size=8,
    )
)
def test_what_is_certain_stays_so_whatever_follows(parts: list[str]) -> None:
    text = " ".join(parts)
    for length in range(len(text)):
        assert set(certain_ends(text[:length])) <= set(sentence_ends(text)), text[:length]


@pytest.mark.parametrize(
    ("text", "silent_s", "is_complete"),
    [
        ("Hello there.", 0.3, True),
        ("Hello there.", 0.2, False),
        ("यह है।", 0.3, True),
        ("Hello there", 5.0, False),
        ("Hello there\n", 0.3, False),
        ("Hello there\n", 1.0, True),
        ("Meet Dr.", 1.0, False),
        ("", 1.0, False),
    ],
)
def test_silence_tells_that_a_sentence_is_complete(text: str, silent_s: float, is_complete: bool) -> None:
    assert is_likely_complete(text, silent_s) is is_complete


@pytest.mark.parametrize("space", ["\u00a0", "\u2028", "\x85", "\u2009"])
def test_white_space_at_which_sentencex_panics_is_survived(space: str) -> None:
    assert sentence_ends(f"Vitamin C{space}. And so on, said A{space}.") is not None


def test_sentencex_is_loaded_where_a_sentence_is_looked_for_and_not_before() -> None:
    code = (
        "import sys; from libacli.core.sentences import sentence_ends; loaded = 'sentencex' in sys.modules;"
        "sentence_ends('One. Two'); sys.exit(loaded or 'sentencex' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
