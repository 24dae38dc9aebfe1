"""Units for systemd: the worker and the page on a machine without containers."""

from __future__ import annotations

from collections.abc import Iterable

from libacli.deploy.pins import EXTRAS
from libacli.deploy.plan import Part, Plan, checked
from libacli.deploy.secret_words import to_fill_in
from libacli.deploy.template import fill
from libacli.deploy.values import values_of

PARTS = (Part.SERVE, Part.REDIS, Part.OPENAI, Part.TAVUS)

PROGRAM = "/opt/liba/bin/liba"


def units(plan: Plan, program: str = PROGRAM) -> dict[str, str]:
    """Units that run `program`, and the user that they run as; by file name. Raises UsageError."""
    has_serve = Part.SERVE in plan.parts
    names = ["liba-agent.service", *(["liba-serve.service"] if has_serve else [])]
    values = values_of(plan) | {
        "extras": ",".join(EXTRAS),
        "program": checked("program", program),
        "hardening": fill("systemd/hardening", {}),
        "fill_in": to_fill_in(plan.serve_secrets if has_serve else plan.secrets),
        "units": " ".join(name.removesuffix(".service") for name in names),
    }
    files = {"liba.sysusers": fill("systemd/README", values) + "\n" + fill("systemd/liba.sysusers", values)}
    for name in names:
        secrets = plan.serve_secrets if name == "liba-serve.service" else plan.secrets
        files[name] = fill(f"systemd/{name}", values | {"credentials": _credentials(secrets)})
    return files


def _credentials(secrets: Iterable[str]) -> str:
    """Each file is read by systemd as root, and shown to this unit alone."""
    lines = []
    for name in secrets:
        lines += [f"LoadCredential={name}:/etc/liba/{name}", f"Environment={name}_FILE=%d/{name}"]
    return "\n".join(lines)
