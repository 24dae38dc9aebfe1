from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.language import language_of

SENTENCES = {
    "en": """Hello there, this is a test.
        The meeting starts at ten tomorrow.
        Please wait a moment.
        Your order has been shipped.
        Good morning everyone
        Turn left at the next corner.
        Template tag documentation
        The total is 12 euros.
        Doctor Smith is in""",
    "de": """Guten Tag, wie geht es Ihnen?
        Die Besprechung beginnt morgen um zehn.
        Bitte warten Sie einen Moment.
        Ihre Bestellung wurde verschickt.
        Vielen Dank!
        Herzlich willkommen
        Auf Wiedersehen
        Der Zug fährt um acht ab.""",
    "fr": """Bonjour, comment allez-vous ?
        La réunion commence demain à dix heures.
        Veuillez patienter un instant.
        Votre commande a été expédiée.
        Merci beaucoup !
        Tournez à gauche au prochain coin.
        C’est la vie
        Au revoir""",
    "es": """Hola, ¿cómo está usted?
        La reunión empieza mañana a las diez.
        Por favor, espere un momento.
        Su pedido ha sido enviado.
        ¡Muchas gracias!
        Gire a la izquierda en la próxima esquina.
        El tren sale a las ocho.
        Hasta luego""",
    "it": """Buongiorno, come sta?
        La riunione inizia domani alle dieci.
        Attenda un momento, per favore.
        Il suo ordine è stato spedito.
        Grazie mille!
        Giri a sinistra al prossimo angolo.
        Il treno parte alle otto.
        Arrivederci""",
}
PAIRS = [(language, line.strip()) for language, lines in SENTENCES.items() for line in lines.splitlines()]


@pytest.mark.parametrize(("language", "sentence"), PAIRS)
def test_a_sentence_is_known_for_what_it_is(language: str, sentence: str) -> None:
    assert language_of(sentence) == language


@pytest.mark.parametrize("text", ["", "OK", "Stop", "1, 2, 3", "...", "Internet", "Berlin", "🎉", "qwyzzt"])
def test_what_tells_nothing_is_english(text: str) -> None:
    assert language_of(text) == "en"


@given(st.text(max_size=200))
def test_any_text_has_a_language_whatever_its_case(text: str) -> None:
    assert language_of(text) in SENTENCES
    assert language_of(text.casefold()) == language_of(text)
