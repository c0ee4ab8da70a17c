"""Limit (e): pgbench runs the peers' statements, one payment a transaction; no broker, and no Python.

python -m tests.benchmarks.limits.with_pgbench MESSAGES INVOICES: prints what it came to as JSON.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.servers.packages import find_postgres

CLIENTS = 16
"""More bring nothing on few cores."""
SCRIPT = Path(__file__).with_name("payment.pgbench.sql")


def program() -> Path | None:
    """Return pgbench, which lies beside PostgreSQL's own programs; None where there is none."""
    found = find_postgres()
    beside = found[1] / "pgbench" if found is not None else None
    if beside is not None and beside.exists():
        return beside
    on_path = shutil.which("pgbench")
    return Path(on_path) if on_path else None


def main(messages: int, invoices: int) -> None:
    pgbench = program()
    if pgbench is None:
        sys.exit("pgbench is missing: it comes with PostgreSQL")
    each = max(messages // CLIENTS, 1)
    command = [
        str(pgbench),
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={CLIENTS}",
        f"--jobs={os.cpu_count() or 1}",
    ]
    command += [f"--transactions={each}", f"--file={SCRIPT}", f"--define=invoices={invoices}", "--define=n=0"]
    done = subprocess.run(
        [*command, os.environ["PAYMENT_WORKER_DATABASE_URL"]], capture_output=True, text=True, check=False
    )
    per_s = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode != 0 or per_s is None:
        sys.exit(f"pgbench failed: {done.stderr}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = {"payments": each * CLIENTS, "per_s": float(per_s[1]), "cpu_s": used.ru_utime + used.ru_stime}
    print(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
