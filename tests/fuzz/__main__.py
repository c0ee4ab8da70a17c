"""The guided fuzzer, by hand: python -m tests.fuzz [TARGET...] [--minutes 10]

Runs each target (all, where none is named) for its share of the minutes, under the coverage-guided fuzzer atheris. That
is no dependency of the project, since it is not there for every platform: `pip install atheris` first. It begins with
the golden messages and tests/fuzz/corpus; whatever reaches new code is kept in --keep. An input that a target fails on
is written to --keep too, its traceback is shown, and the exit status is not 0.

--minimise writes the shortest inputs that together reach all that was reached back to tests/fuzz/corpus; it needs no
atheris.
"""

import argparse
import hashlib
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
INSTRUMENTED = ["schemas", "worker.broker", "worker.domain", "worker.cli", "pamqp.decode", "pamqp.encode"]
TRACED = ("/schemas/", "/worker/", "/pamqp/")
INPUT_SECONDS_MAX = 10
"""One input that takes longer is a finding: a body of the size that is allowed takes milliseconds."""
MEMORY_MB_MAX = 1_024
CORPUS_INPUT_BYTES_MAX = 4_096
"""Longer ones stay out of the committed corpus."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--keep", type=Path, default=Path(".fuzz"), help="folder for what is found (default .fuzz)")
    parser.add_argument("--minimise", action="store_true", help="write the kept inputs, minimised, to the corpus")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.minimise:
        _minimise(chosen.keep)
        return 0
    if find_spec("atheris") is None:
        print("python -m tests.fuzz: atheris is missing: pip install atheris (Linux)", file=sys.stderr)  # noqa: T201
        return 2
    if chosen.one:
        _fuzz(chosen.targets[0], int(chosen.minutes * 60), chosen.keep)
        return 0
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - the fuzzer's own process imports it instrumented

    if unknown := set(chosen.targets) - TARGETS.keys():
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    targets = chosen.targets or list(TARGETS)
    failed = [target for target in targets if not _run(target, chosen.minutes / len(targets), chosen)]
    for target in failed:
        print(f"{target}: FAILED, see above; the input is in {chosen.keep / target}")  # noqa: T201
    return 1 if failed else 0


def _run(target: str, minutes: float, chosen: argparse.Namespace) -> bool:
    """Run one target in a process of its own: the fuzzer ends its process."""
    command = [sys.executable, "-m", "tests.fuzz", "--one", target, "--minutes", str(minutes), "--keep", chosen.keep]
    return subprocess.run(command, check=False).returncode == 0


def _minimise(keep: Path) -> None:
    """Write back to the corpus what is short and reaches something of its own, of it and of what was kept."""
    from tests.fuzz.minimise import smallest  # noqa: PLC0415
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    for name, target in TARGETS.items():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        paths = [path for place in (folder, keep / name) if place.is_dir() for path in place.iterdir()]
        inputs = [path.read_bytes() for path in paths if path.stat().st_size <= CORPUS_INPUT_BYTES_MAX]
        found = smallest(inputs, target, TRACED)
        for path in folder.iterdir():
            path.unlink()
        for data in found:
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        print(f"{name}: {len(found)} of {len(inputs)} inputs")  # noqa: T201


def _fuzz(target: str, seconds: int, keep: Path) -> None:
    """Run the fuzzer, which does not return."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.mutation import INPUT_BYTES_MAX, WORDS, mutated  # noqa: PLC0415
        from tests.fuzz.seeds import seeds  # noqa: PLC0415
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415
    kept, corpus = keep / target, CORPUS / target
    for folder in (kept, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (kept / f"seed-{number}").write_bytes(seed)
    words = keep / f"{target}.dict"
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in WORDS if len(word) < 64 and word.isascii()))

    def change(data: bytes, length_max: int, seed: int) -> bytes:
        changed = mutated(data, Random(seed)) if seed % 4 else atheris.Mutate(data, length_max)  # noqa: S311
        return bytes(changed[:length_max])

    mode = [f"-max_total_time={seconds}", f"-dict={words}", "-print_final_stats=1", str(kept), str(corpus)]
    limits = [f"-timeout={INPUT_SECONDS_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}", f"-max_len={INPUT_BYTES_MAX}"]
    arguments = [sys.argv[0], f"-artifact_prefix={kept}/failed-", *limits, *mode]
    atheris.Setup(arguments, TARGETS[target], custom_mutator=change)
    atheris.Fuzz()


def _quoted(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    sys.exit(main())
