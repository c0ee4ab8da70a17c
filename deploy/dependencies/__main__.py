"""Check the dependencies: exit status 0 where nothing is wrong, else 1 with a line for each thing that is."""

import sys

from deploy.dependencies import ROOT, advisories, licences, lock


def main() -> int:
    pins, _ = lock.read_lock(ROOT / "requirements.lock")
    here = [name for name, pin in pins.items() if pin.is_for_here]
    wrong = lock.disagreements(ROOT / "pyproject.toml", ROOT / "requirements.lock")
    wrong += licences.complaints(here)
    try:
        holes = advisories.complaints(ROOT / "requirements.lock")
    except advisories.AuditError as error:
        holes = [str(error)]
    node_holes = advisories.node_complaints(ROOT / "tests" / "contract")
    wrong += [*(holes or ()), *(node_holes or ())]
    for line in wrong:
        print(line)
    if holes is None:
        print(advisories.UNREACHED)
    if node_holes is None:
        print(advisories.NODE_UNREACHED)
    if wrong:
        return 1
    known = "" if holes is None else ", no known advisory"
    hashes = sum(pin.hashes for pin in pins.values())
    print(f"{len(pins)} packages: locked with {hashes} hashes, licences allowed{known}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
