"""The tokens that the spec server knows: one for each way in which a provider, or the net, can behave."""

from __future__ import annotations

BEHAVIOURS = {
    "good": "everything works",
    "fine_grained": "everything works; GitHub: a fine-grained token, which has permissions instead of scopes",
    "oauth": "everything works; an OAuth app's token",
    "installation": "GitHub: an app's installation, which is no user; otherwise like good",
    "legacy": "GitHub: 40 hexadecimal digits, as before 2021; otherwise like good",
    "expiring": "works; the answers say when the token ends",
    "revoked": "is refused as a bad token; so is every token that is not in this table",
    "expired": "is refused because its time is over",
    "no_scope": "proves its account, and may do nothing else",
    "no_permission": "as no_scope, for a token with permissions instead of scopes",
    "saml": "GitHub: refused until it is authorised for the organization",
    "rate_limited": "429 with Retry-After",
    "rate_limited_forever": "429 with a Retry-After in the year 9999",
    "primary_limit": "GitHub: 403, nothing remaining, and when that ends",
    "secondary_limit": "GitHub: 403 with a text only",
    "slow": "answers rightly after the server's `delay_s`",
    "hanging": "never answers",
    "dripping": "sends the answer one byte at a time, one in `delay_s`",
    "reset": "the connection is reset instead of an answer",
    "truncated": "the connection ends in the middle of the answer",
    "huge": "the right answer, blown up to more than 2 MB",
    "bomb": "a small gzip body that unpacks to 64 MB",
    "broken_json": "the right answer, cut in half, said to be JSON",
    "html": "an HTML page with status 200",
    "redirect": "302 to another host, the server's `redirect_to`",
    "error_500": "500 with the provider's error",
    "error_502": "502 with a gateway's HTML page",
    "echoing": "the right answer, with the credential that was sent in a field of it",
}


def _github(behaviour: str) -> str:
    word = behaviour.replace("_", "")
    match behaviour:
        case "fine_grained" | "no_permission":
            return "github_pat_" + word.ljust(22, "0") + "_" + "0" * 59
        case "oauth":
            return "gho_" + word.ljust(36, "0")
        case "installation":
            return "ghs_" + word.ljust(36, "0")
        case "legacy":
            return "1e9ac7" * 6 + "0000"
        case _:
            return "ghp_" + word.ljust(36, "0")


def _figma(behaviour: str) -> str:
    prefix = "figu_" if behaviour == "oauth" else "figd_"
    return prefix + behaviour.replace("_", "").ljust(40, "0")


TOKENS: dict[str, dict[str, str]] = {
    "github": {behaviour: _github(behaviour) for behaviour in BEHAVIOURS},
    "figma": {behaviour: _figma(behaviour) for behaviour in BEHAVIOURS},
}
"""By provider and behaviour. They look like real ones and are not: GitHub's checksum is wrong on purpose."""
