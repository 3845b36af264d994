"""The policy file, with which an operator overrides single rules, in the language of oslo.policy.

Operators can thus reuse the policy files of Glance. Rules that are not in the file keep their
defaults. An entry in the file can refer to another rule, or to a default, by ``rule:NAME``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

Rule = Callable[[Any, Mapping[str, Any]], bool]

log = logging.getLogger(__name__)

ADMIN = "context_is_admin"  # a policy file cannot change which callers are admins


def overrides(path: str, defaults: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rules that the policy file at ``path`` defines, by name; none for an empty path.

    Some replace default rules; other rules are used only by other entries of the file. ``defaults``
    has all default rules by name. Raises ImproperlyConfigured if the file cannot be read or is
    malformed, or if the package oslo.policy is not installed.
    """
    if not path:
        return {}
    texts = _texts(path)
    enforce = _enforcer(texts, defaults, path)
    return {name: _rule(name, enforce) for name in texts}


def _texts(path: str) -> dict[str, str]:
    try:
        import yaml

        document = yaml.safe_load(Path(path).read_text()) or {}
    except ImportError:
        raise _missing_package() from None
    except OSError as error:
        raise _wrong(path, f"it cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeError):
        raise _wrong(path, "it is not YAML") from None
    if not isinstance(document, dict) or not all(
        isinstance(name, str) and isinstance(text, str)
        for name, text in document.items()
    ):
        raise _wrong(path, 'it must have lines like "add_image": "role:member"')
    if document.get(ADMIN, "role:admin") != "role:admin":
        raise _wrong(path, f"{ADMIN} is role:admin and cannot be changed")
    return {name: text for name, text in document.items() if name != ADMIN}


def _enforcer(
    texts: Mapping[str, str], defaults: Mapping[str, Rule], path: str
) -> Callable[[str, Any, Mapping[str, Any]], bool]:
    try:
        from oslo_config import cfg
        from oslo_policy import policy
    except ImportError:
        raise _missing_package() from None

    class Default(policy.Check):
        """A check of oslo.policy that applies a default rule of this service; ``match`` is its name."""

        def __call__(self, target: Any, creds: Any, *args: Any, **kwargs: Any) -> bool:
            return defaults[self.match](creds["caller"], creds["image"])

    rules = policy.Rules.from_dict(dict(texts))
    for name, check in rules.items():
        # oslo.policy turns a rule that it cannot parse into "never", and only logs that.
        if str(check) == "!" and texts[name].strip() != "!":
            raise _wrong(path, f"the rule {name} cannot be parsed")
    for name in defaults.keys() - texts.keys():
        rules[name] = Default("default", name)
    rules.setdefault(ADMIN, policy.Rules.from_dict({ADMIN: "role:admin"})[ADMIN])
    _report_unknown(texts, defaults, path)
    enforcer = policy.Enforcer(cfg.ConfigOpts(), use_conf=False)
    enforcer.set_rules(rules, use_conf=False)

    def enforce(name: str, caller: Any, image: Mapping[str, Any]) -> bool:
        creds = {
            "caller": caller,
            "image": image,
            "is_admin": caller.is_admin,
            "project_id": caller.project,
            "roles": sorted(caller.roles),
            "tenant": caller.project,
            "user_id": caller.user,
        }
        owner = image.get("owner")
        target = {"project_id": owner, "tenant": owner, **image}
        return bool(enforcer.enforce(name, target, creds))

    return enforce


def _rule(name: str, enforce: Callable[[str, Any, Mapping[str, Any]], bool]) -> Rule:
    return lambda caller, image: enforce(name, caller, image)


def _report_unknown(
    texts: Mapping[str, str], defaults: Mapping[str, Rule], path: str
) -> None:
    """Log a warning about entries of the policy file that have no effect.

    The name of such an entry is not in ``defaults``, the rules of this service, and no other entry
    refers to it. ``texts`` are the entries of the file by name, ``path`` is the path of the file.
    """
    used = " ".join(texts.values())
    unknown = [
        name for name in texts if name not in defaults and f"rule:{name}" not in used
    ]
    if unknown:
        log.warning("%s: there is no rule %s", path, ", ".join(sorted(unknown)))


def _wrong(path: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"IMAGECATALOG_POLICY_FILE {path}: {why}.")


def _missing_package() -> ImproperlyConfigured:
    return ImproperlyConfigured(
        "IMAGECATALOG_POLICY_FILE needs the package oslo.policy. "
        "Install it with `pip install -r requirements.txt`."
    )
