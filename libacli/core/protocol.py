"""Names that all sides of a room know: methods, topics, attributes."""

SAY_METHOD = "liba.say"
STATUS_METHOD = "liba.status"
STOP_METHOD = "liba.stop"
CANCEL_METHOD = "liba.cancel"
MOVE_METHOD = "liba.move"
PAUSE_METHOD = "liba.pause"
RESUME_METHOD = "liba.resume"
NEXT_METHOD = "liba.next"
METHODS = (
    *(SAY_METHOD, STATUS_METHOD, STOP_METHOD),
    *(CANCEL_METHOD, MOVE_METHOD, PAUSE_METHOD, RESUME_METHOD, NEXT_METHOD),
)
SAY_TOPIC = "say"
CHAT_TOPIC = "lk.chat"
"""LiveKit's own: what is typed on its pages comes there."""

EVENTS_TOPIC = "liba.events"

SOUND_TOPIC = "liba.audio"
"""Of byte streams to an agent: a sound that a say request refers to."""

AT_ATTRIBUTE = "liba.at_ms"
"""Of a caption: how many milliseconds of sound are between the utterance's first sound and what it says."""

MAX_NAME_CHARS, MAX_NAME_BYTES = 128, 256
"""Of a room, an identity or an agent; the latter is what LiveKit's servers take, as UTF-8."""

CAPTION_TOPIC = "lk.transcription"
"""LiveKit's own: any of its clients shows such text streams."""

SIGNATURE_ATTRIBUTE = "liba.auth"
"""Of a caption: the agent's signature for it."""

STATE_ATTRIBUTE = "lk.agent.state"
"""Of an agent: LiveKit's pages and hooks show it; one without it does not start, for them."""

TEXT_ATTRIBUTE = "liba.text"
"""Of a caption: all that it is going to say, if it is not cut off; the stream itself says what is heard."""

MAX_ANSWER_BYTES = 15 * 1024
"""LiveKit carries no longer answer to a call; the caller gets an error instead of it."""

CAN_SAY_ATTRIBUTE = "liba.say"
"""A participant whose token attributes hold a signed permission here may make the agent speak."""

AGENT_ATTRIBUTE = "liba.agent"
"""An agent's participant carries its agent name here, once it can take requests."""

EPOCH_ATTRIBUTE = f"{AGENT_ATTRIBUTE}.epoch"
"""And here its epoch, which is another one after it was started anew."""
