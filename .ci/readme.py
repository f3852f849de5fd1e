"""Runs the documents' shell sessions and the engine's examples, and checks links."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
README = ROOT / "README.md"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
TOKEN = re.compile(r"[0-9a-f]{32}")
# A path of this repository in backticks, as in `engine/src/call.rs`; a glob or
# a name with placeholders is none.
PATH = re.compile(r"`((?:\.ci|\.github|benches|docs|engine|ffi|migrations|python|server)/[\w./-]+)(\*?)`")
# A test, as in `http::limits::slow_client` or `settings::tests::secrets`; the
# end of its name may be left out.
TEST = re.compile(r"`(?:http::(\w+)::(\w+)|(\w+)::tests::(\w+))`")
# An identifier of the sources in backticks: a path, CamelCase, snake_case, or a
# capitalized word that is the whole code, as in `Deferred`.
IDENTIFIER = re.compile(r"\w+(?:::\w+)+|\b[a-z0-9]+(?:_[a-z0-9]+)+\b|\w*[a-z][A-Z]\w*|^[A-Z][a-z]+$")
# Names of other programs, and forms of names.
FOREIGN = re.compile(
    r"payment_intent_data|notification_url|special_reference|webhookUrl"
    r"|group_replication_\w+|proxy_pass|pthread_atfork|Host|vX|verb_noun|subject_does_x_when_y"
)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
SETTING = re.compile(r'^    (\w+): \w+ = "([^"]*)", "', re.M)
DECLARED = ["engine/src/config.rs", "server/src/settings.rs"]

Session = list[tuple[str, str]]


def documents() -> list[pathlib.Path]:
    """Lists the documents, README first."""
    others = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    # RELIABILITY.md is generated; CHANGELOG.md names files of the past.
    left_out = {README, ROOT / "RELIABILITY.md", ROOT / "CHANGELOG.md"}
    return [README, *sorted(path for path in others if path not in left_out)]


def sessions(document: pathlib.Path) -> Iterator[Session]:
    """Yields the `console` blocks: curl commands and what they print."""
    for block in re.findall(r"```console\n(.*?)```", document.read_text(), re.S):
        steps: Session = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], ""))
            elif steps and line.strip():
                steps[-1] = (steps[-1][0], steps[-1][1] + line.strip())
        yield [step for step in steps if step[0].startswith("curl")]


def shape(body: str) -> object:
    """Parses a body with its times and tokens blanked; the rest must be exact."""
    return json.loads(TOKEN.sub("TOKEN", TIME.sub("TIME", body)))


def wait_for(port: int) -> None:
    """Waits until the server listens, for at most 30 seconds."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("the server did not listen within 30 seconds")


def run(steps: Session, name: str) -> None:
    """Starts a server on a free port and runs the steps of one session."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = TARGET / "debug" / "stockade"
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [binary, "serve", "--listen", f"127.0.0.1:{port}"], cwd=folder, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(port)
            for command, expected in steps:
                local = command.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
                printed = subprocess.run(
                    ["bash", "-c", local], capture_output=True, text=True, check=True
                ).stdout
                if shape(printed) != shape(expected):
                    sys.exit(f"{command}\nprinted  {printed}\n{name} says {expected}")
                print(f"ok: {command}")
        finally:
            server.terminate()
            server.wait(timeout=20)


def run_examples() -> int:
    """Runs the examples that end by themselves; returns their number."""
    expected = {"shop": r"2 sold, 1 in stock\n$", "events": r"hold\.released .* \S+ units\n$"}
    for name, ending in expected.items():
        example = TARGET / "debug" / "examples" / name
        done = subprocess.run([example], capture_output=True, text=True, timeout=60)
        if done.returncode or not re.search(ending, done.stdout):
            sys.exit(f"the example {name} printed\n{done.stdout}{done.stderr}")
        print(f"ok: engine/examples/{name}.rs")
    return len(expected)


def broken_links(document: pathlib.Path) -> Iterator[str]:
    """Yields each link, and each path or test in backticks, that leads nowhere."""
    text = document.read_text()
    name = document.relative_to(ROOT)
    for link in LINK.findall(text):
        if not (document.parent / link).exists():
            yield f"{name}: the link {link} leads nowhere"
    for path, star in PATH.findall(text):
        exists = any(ROOT.glob(f"{path}*")) if star else (ROOT / path).exists()
        if not exists:
            yield f"{name}: there is no {path}{star}"
    for in_http, test, module, unit_test in TEST.findall(text):
        file = f"server/tests/http/{in_http}.rs" if in_http else f"server/src/{module}.rs"
        if not (ROOT / file).exists() or f"fn {test or unit_test}" not in (ROOT / file).read_text():
            yield f"{name}: there is no test {test or unit_test} in {file}"


def source_words() -> list[set[str]]:
    """Returns the words of each source: of its path and of its code without comment lines."""
    kinds = ["rs", "sql", "php", "py", "pyi", "h", "c", "yaml", "toml", "ts", "service"]
    command = ["git", "ls-files", "-zco", "--exclude-standard", "--", ":!.ci"]
    command += [f"*.{kind}" for kind in kinds]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    comment = re.compile(r"^\s*(?://|# |/?\*|--).*$", re.M)
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    code = {name: comment.sub("", (ROOT / name).read_text()) for name in names}
    return [set(re.findall(r"\w+", f"{name} {text}")) for name, text in code.items()]


def unknown_identifiers(document: pathlib.Path, sources: list[set[str]]) -> Iterator[str]:
    """Yields each identifier in backticks that no source has.

    The parts of a path must meet in one source. A metric is declared without its prefix.
    """
    text = document.read_text()
    shown = set(re.findall(r"\w+", "".join(re.findall(r"```.*?```", text, re.S))))
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S)):
        if "/" in code or TEST.fullmatch(f"`{code}`"):
            continue
        for identifier in IDENTIFIER.findall(code):
            parts = set(identifier.split("::"))
            plain = {re.sub(r"^stockade_(?:http_|remote_)?", "", part) for part in parts}
            is_known = any(parts <= words or plain <= words for words in [shown, *sources])
            if not is_known and not FOREIGN.fullmatch(identifier) and not identifier.isupper():
                name = document.relative_to(ROOT)
                yield f"{name}: no source has the identifier {identifier}"


def wrong_settings() -> Iterator[str]:
    """Yields each setting that docs/settings.md lacks, or has with another default."""
    table = (ROOT / "docs/settings.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? *\|", table, re.M))
    declared: dict[str, str] = {}
    for source in DECLARED:
        declared.update(SETTING.findall((ROOT / source).read_text()))
    if len(declared) < 40:
        yield f"found {len(declared)} settings in {DECLARED}: has their list another form?"
    for name, default in declared.items():
        if rows.get(name) != default:
            yield f"docs/settings.md: `{name}` is declared as `{default}`, documented as {rows.get(name)!r}"
    for name in rows.keys() - declared.keys():
        yield f"docs/settings.md: there is no setting `{name}`"


def main() -> None:
    """Checks links and settings, then runs every session."""
    faults = [fault for document in documents() for fault in broken_links(document)]
    sources = source_words()
    faults += [fault for each in documents() for fault in unknown_identifiers(each, sources)]
    faults += wrong_settings()
    if faults:
        sys.exit("\n".join(faults))
    print(f"documents: {len(documents())} checked, links, identifiers and settings are right")
    if sys.argv[1:] == ["--links"]:
        return
    passed = 0
    for document in documents():
        for steps in sessions(document):
            run(steps, document.name)
            passed += len(steps)
    if len(next(sessions(README), [])) < 4:
        sys.exit("README.md shows fewer than 4 curl commands")
    passed += run_examples()
    print(f"README: {passed} passed, 0 failed")


main()
