"""The masking of secrets in the values of environment variables, for texts that operators read.

In a URL only the secrets are masked, so that operators still recognise the URL: a password, a user
name without a password (often a token), and secret parameters of the query. The URLs of images'
data, of which the whole query is secret, are masked in ``images.transfers.sources``.
"""

from __future__ import annotations

import re
from typing import Final

# Names of variables whose values are secrets. PUBLISH_KEY is the path of a folder.
SECRET: Final = re.compile("(PASSWORD|SECRET|TOKEN|(?<!_PUBLISH_)KEYS?|KEY_FALLBACKS)$")
# The password in a URL, which nobody may have percent-encoded: it ends at the last "@", and can have
# any other character. "[" begins an IPv6 address, not a user name.
PASSWORD: Final = re.compile(r"(://(?!\[)[^/?#:]*:).*(?=@)", re.DOTALL)
# The user of a URL of the web without a password, which is often a token.
TOKEN: Final = re.compile(r"(https?://)[^/?#:@]+(?=@)", re.IGNORECASE)
# The value of an option in the query of a URL.
OPTION: Final = re.compile(
    r"([?&][^=&]*(?:passw|secret|token|key|sas|sig)[^=&]*=)[^&]*", re.IGNORECASE
)
# Variables with several URLs, and the comma before the next one: other commas belong to a URL.
URL_LIST: Final = re.compile("_(STORES|REMOTES)$")
NEXT_URL: Final = re.compile(r",(?=\s*[^,=:/?@]+=[a-z0-9]+://)", re.IGNORECASE)
HIDDEN: Final = "*****"


def masked(name: str, value: str) -> str:
    """Return the value of the variable ``name`` with asterisks in place of its secrets."""
    if SECRET.search(name):
        return HIDDEN
    urls = NEXT_URL.split(value) if URL_LIST.search(name) else [value]
    return ",".join(map(_without_secrets, urls))


def _without_secrets(url: str) -> str:
    for secret in (PASSWORD, TOKEN, OPTION):
        url = secret.sub(rf"\1{HIDDEN}", url)
    return url
