"""The licences of what is installed, from its own metadata: allowed for all, or with a reason for the one package."""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

ALLOWED = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "PSF-2.0", "Unlicense"})
"""SPDX names. They ask for no more than that their text goes along."""
EXCEPTIONS: Mapping[str, str] = {
    "certifi": "MPL-2.0: asks for the source of changes to its own files, and nothing is changed; for tests alone",
    "hypothesis": "MPL-2.0: as certifi",
    "pathspec": "MPL-2.0: as certifi; for building alone",
    "iso4217": "Public Domain: a table of currencies that its author claims no right in",
}
"""Package → its licence and why it may be used all the same."""
_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""What metadata older than SPDX expressions call them."""


def complaints(names: Iterable[str]) -> list[str]:
    """Return what is wrong with the licences of the packages that are installed."""
    wrong: list[str] = []
    for name in sorted(names):
        try:
            said = licence(metadata(name))
        except PackageNotFoundError:
            continue
        excepted = EXCEPTIONS.get(name, "").partition(":")[0]
        if not said:
            wrong.append(f"{name}: names no licence")
        elif not is_allowed(said) and said != excepted:
            wrong.append(f"{name}: {said} is no licence that is allowed here (deploy/dependencies/licences.py)")
        elif is_allowed(said) and excepted:
            wrong.append(f"{name}: {said} is allowed for all, so its exception is to go")
    return wrong


def licence(said: PackageMetadata) -> str:
    """Return the licence as an SPDX expression where the metadata name one, else in their own words; "" for none."""
    if "License-Expression" in said:
        return said["License-Expression"]
    named = said["License"].strip() if "License" in said else ""
    if named and "\n" not in named:
        return _SPDX.get(named, named)
    last_words = (line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or () if line.startswith("License"))
    return " AND ".join(sorted({_SPDX.get(words, words) for words in last_words}))


def is_allowed(expression: str) -> bool:
    """Say whether one of the alternatives asks for allowed licences alone. Parentheses are not read."""
    return any(
        all(each.strip() in ALLOWED for each in alternative.split(" AND ")) for alternative in expression.split(" OR ")
    )
