"""`liba` to whom a machine that gives no sign of life is gone sooner: `python -m tests.live.cluster.hasty`.

The processes of its rooms run this too, as they do the main module of whoever starts them.
"""

from __future__ import annotations

import libacli.edges.redis.conversations as conversations
import libacli.worker as worker
from libacli.cli.main import main

LEASE_S = 12.0
LOOK_BACK_EVERY_S = 3.0

if __name__ in ("__main__", "__mp_main__"):
    conversations.RedisConversations.__init__.__kwdefaults__["lease_s"] = LEASE_S  # type: ignore[index]
    conversations._JUST_NOW_S = round(LEASE_S)
    conversations._STARTING_S = round(1.5 * LEASE_S)
    worker._LOOK_BACK_EVERY_S = LOOK_BACK_EVERY_S

if __name__ == "__main__":
    main()
