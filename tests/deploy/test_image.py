"""The container image: its user may do nothing, its files cannot be written, and it does the main job all the same."""

import asyncio
import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from deploy.servers import Servers
from deploy.servers.janitor import Janitor
from tests.site import Site

ROOT = Path(__file__).parent.parent.parent
LOCKED_DOWN = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--ipc=none", "--network=host")
OWN_BYTES_MAX = 100 * 1024 * 1024
"""What the image adds to the one of Python that it is made from."""

LOOK = """
import importlib.util, json, os, shutil, sys
from pathlib import Path

def writable():
    for folder, folders, files in os.walk("/"):
        folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/sys", "/dev")]
        for path in (folder, *(os.path.join(folder, each) for each in files)):
            if not os.path.islink(path) and os.access(path, os.W_OK):
                yield path

def write(path):
    try:
        Path(path).write_text("x")
    except OSError as error:
        return error.strerror
    return "written"

tools = ("gcc", "cc", "g++", "clang", "make", "pip", "pip3", "uv", "git")
print(json.dumps({
    "user": [os.getuid(), os.geteuid()],
    "capabilities": [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "Cap" in line],
    "writable": list(writable()),
    "writes": {path: write(path) for path in ("/tmp/x", "/home/x", "/opt/payment-worker/x", "/x")},
    "tools": [tool for tool in tools if shutil.which(tool)],
    "modules": [name for name in ("pip", "ensurepip", "pytest", "tests", "deploy") if importlib.util.find_spec(name)],
}))
"""


def docker(*arguments: str, deadline_s: int = 600) -> str:
    ran = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=False, timeout=deadline_s, cwd=ROOT
    )
    assert ran.returncode == 0, f"docker {arguments[0]}: {ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def image(servers: Servers) -> Iterator[str]:
    """The image, made from this tree."""
    if servers.way != "docker":
        pytest.skip("the image is made and run where the servers are containers: PAYMENT_WORKER_SERVERS=docker")
    name = f"payment-worker:test-{secrets.token_hex(4)}"
    docker("build", "--network=host", f"--tag={name}", "--file=deploy/Dockerfile", ".", deadline_s=3600)
    yield name
    docker("image", "rm", name)


@contextmanager
def container_of(image: str, *options: str) -> Iterator[str]:
    """Run the image's worker, locked down, and yield the container's name. Whatever becomes of the test, it goes."""
    name = f"payment-worker-test-{secrets.token_hex(4)}"
    with closing(Janitor()) as janitor:
        janitor.add("container", name)
        docker("run", "--detach", f"--name={name}", *LOCKED_DOWN, *options, image)
        yield name


def settings(site: Site) -> list[str]:
    urls = {"AMQP_URL": site.amqp_url, "DATABASE_URL": site.database_url, "HTTP_PORT": "0"}
    return [f"--env=PAYMENT_WORKER_{name}={value}" for name, value in urls.items()]


def test_its_user_may_nothing_and_no_file_can_be_written(image: str) -> None:
    seen = json.loads(docker("run", "--rm", *LOCKED_DOWN, "--entrypoint=python", image, "-c", LOOK))
    assert seen["user"] == [10001, 10001]
    assert {int(each, 16) for each in seen["capabilities"]} == {0}
    assert seen["writable"] == []
    assert "written" not in seen["writes"].values()
    assert (seen["tools"], seen["modules"]) == ([], [])


def test_without_a_read_only_file_system_its_user_may_write_nothing_of_the_worker(image: str) -> None:
    seen = json.loads(docker("run", "--rm", "--entrypoint=python", image, "-c", LOOK))
    assert seen["user"] == [10001, 10001]
    assert [
        path for path in seen["writable"] if path.startswith(("/opt", "/usr", "/etc", "/bin", "/lib", "/home"))
    ] == []


def test_it_holds_the_worker_and_no_secret_and_is_small(image: str) -> None:
    config = json.loads(docker("image", "inspect", "--format={{json .Config}}", image))
    assert not [each for each in config["Env"] if each.startswith("PAYMENT_WORKER_")]
    steps = docker("history", "--no-trunc", "--human=false", "--format={{.Size}} {{.CreatedBy}}", image).splitlines()
    own = steps[: next(number for number, step in enumerate(steps) if "useradd" in step) + 1]
    assert not [step for step in own if re.search(r"://[^ /]*:[^ /]*@|passw|secret|token", step, re.IGNORECASE)]
    assert sum(int(step.partition(" ")[0]) for step in own) < OWN_BYTES_MAX


def test_it_explains_itself_without_any_setting(image: str) -> None:
    assert "Usage: payment-worker" in docker("run", "--rm", *LOCKED_DOWN, image, "--help")


async def test_locked_down_it_is_sound_and_books_a_payment_and_ends_in_good_order(image: str, site: Site) -> None:
    told = await asyncio.to_thread(docker, "run", "--rm", *LOCKED_DOWN, *settings(site), image, "doctor", "--json")
    checks = json.loads(told)
    assert checks
    assert all(check["ok"] for check in checks), told
    with container_of(image, *settings(site)) as name:
        await site.put()
        await site.pay(key="k1")
        assert (await site.event_of("k1")).body["statusid"] == 6
        await asyncio.to_thread(docker, "stop", "--time=60", name)
        assert docker("inspect", "--format={{.State.ExitCode}}", name).strip() == "0"
