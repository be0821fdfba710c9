"""The parts that look at the tree and at what is built from it."""
import re
import shutil
import tempfile
from pathlib import Path

import configurations
from report import BUILD, ROOT, Report

CORE_ROOMS = "base text message dns frame core sasl mailauth mailbox smtp pop3 imap queue".split()
SIZE_MAX = 80 * 1024
LIBRARIES = "memory pool kit durable uv openssl mbedtls".split()  # beside the core
FEATURES = [*LIBRARIES, "mailserverd"]

# What the core may call: memory is copied, compared and measured, and heap.c stands for malloc.
ALLOWED = {"memcpy", "memmove", "memset", "memcmp", "memchr", "strlen"}
ALLOWED_IN = {"base/heap": {"malloc", "realloc", "free"}}


def core_files() -> list[Path]:
    return [f for room in CORE_ROOMS for f in sorted((ROOT / "src" / room).glob("*.c"))]


def warnings(p: Report) -> None:
    """Both compilers build everything, with -Wall -Wextra -Wconversion -Wshadow -Werror; gcc watches the stack."""
    for name in ("plain", "clang"):
        if configurations.build(name, p):
            p.ok(f"{configurations.ALL[name].cc} has nothing to say")


def tree(p: Report) -> None:
    p.command("arrows", ["python3", "tests/build/arrows.py"])
    p.command("lengths", ["python3", "tests/build/lengths.py"])
    p.command("tables of characters", ["python3", "tests/build/unicode.py"])
    listed = "".join(f.read_text() for f in (ROOT / "src").rglob("meson.build"))
    unlisted = [str(f.relative_to(ROOT)) for f in (ROOT / "src").rglob("*.c") if f"'{f.name}'" not in listed]
    p.check("every file of src is built", not unlisted, "\n".join(unlisted))
    listed = (ROOT / "meson.build").read_text()
    unlisted = [f.name for f in (ROOT / "include/mailsrv").glob("*.h")
                if f"'include/mailsrv/{f.name}'" not in listed and f.stem not in LIBRARIES]  # a library installs its own
    p.check("every public header is installed", not unlisted, "\n".join(unlisted))
    protocol_in_hosts(p)


def protocol_in_hosts(p: Report) -> None:
    """No host holds a line of protocol: no verb, no reply, no line end, in C or in Python."""
    sign = re.compile(r'["\'](?:[^"\']*\\r|\.\\n|(?:EHLO|HELO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|NOOP|QUIT|USER|PASS|RETR|DELE|'
                      r'STAT|UIDL|STARTTLS)\b|\+OK|-ERR|[245]\d\d[ -])')
    hosts = [*(ROOT / "examples").rglob("*.[ch]"), *(ROOT / "bindings").rglob("*.py")]
    for path in sorted(hosts):
        found = [f"{i}: {line}" for i, line in enumerate(path.read_text().splitlines(), 1) if sign.search(line)]
        p.check(f"no protocol in {path.relative_to(ROOT)}", not found, "\n".join(found))
    if not hosts:
        p.bad("no host found")


def plain(p: Report) -> None:
    """The promise: a C11 compiler and nothing else."""
    with tempfile.TemporaryDirectory() as where:
        for cc in ("cc", "clang"):
            p.command(f"{cc} -std=c11 -Iinclude -Isrc -c FILES",
                      [cc, "-std=c11", f"-I{ROOT}/include", f"-I{ROOT}/src", "-c", *core_files()], silent=True, cwd=where)
        program = Path(where) / "program"
        p.command("a program and the core in one command",
                  ["cc", "-std=c11", "-Iinclude", "-Isrc", "tests/build/receive_only.c", *core_files(), "-o", program],
                  silent=True)
        p.command("it receives a message", [program])


def headers(p: Report) -> None:
    """Each public header alone, as C99 and as C++17."""
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-Iinclude", "-fsyntax-only"]
    for path in sorted((ROOT / "include").rglob("*.h")):
        for cc, *how in (("gcc", "-xc", "-std=c99"), ("clang", "-xc", "-std=c99"), ("g++", "-xc++", "-std=c++17"),
                         ("clang++", "-xc++", "-std=c++17")):
            p.command(f"{path.name} with {cc} {how[1]}", [cc, *how, *strict, "-include", "stddef.h", path])


def purity(p: Report) -> None:
    """The core calls no I/O, thread, clock, random, stdio or locale function, and has no mutable state of its own."""
    flags = ["-std=c11", "-O2", "-DNDEBUG", "-fno-pic", "-fno-pie", "-Iinclude", "-Isrc"]
    symbols = {}
    with tempfile.TemporaryDirectory() as where:
        for file in core_files():
            name, object_ = str(file.relative_to(ROOT / "src").with_suffix("")), f"{where}/object"
            if p.run(["gcc", *flags, "-c", file, "-o", object_]).returncode != 0:
                return p.bad(f"{name} does not compile")
            symbols[name] = p.run(["nm", object_]).stdout.splitlines()
    defined = {s.split()[-1] for lines in symbols.values() for s in lines if " U " not in s}
    for name, lines in symbols.items():
        alien = {s.split()[-1] for s in lines if " U " in s} - defined - ALLOWED - ALLOWED_IN.get(name, set())
        p.check(f"{name} calls nothing from outside", not alien, " ".join(sorted(alien)))
        state = [s for s in lines if re.search(r" [bBdDC] ", s)]
        p.check(f"{name} has no mutable state", not state, "\n".join(state))


def symbols(p: Report) -> None:
    tool = ["python3", ROOT / "tests/build/symbols.py"]
    p.command("symbols.csv and the version scripts are what the headers say", [*tool, "check"])
    layout = BUILD / "layout.c"
    layout.write_text(p.run([*tool, "layout"]).stdout)
    for cc in ("gcc", "clang", "i686-linux-gnu-gcc", "s390x-linux-gnu-gcc"):
        if shutil.which(cc):
            p.command(f"{cc} agrees with every type, size and offset",
                      [cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Iinclude", "-c", layout, "-o", "/dev/null"])
        else:
            p.skip(f"sizes with {cc}", "not installed")
    if not configurations.build("plain", p):
        return
    for name, file in (("mailserver", "libmailserver.so.1"), ("mailserver-memory", "stores/libmailserver-memory.so.1"),
                       ("mailserver-pool", "stores/libmailserver-pool.so.1"),
                       ("mailserver-kit", "stores/libmailserver-kit.so.1"),
                       ("mailserver-durable", "stores/libmailserver-durable.so.1"),
                       ("mailserver-uv", "uv/libmailserver-uv.so.1"),
                       ("mailserver-openssl", "tls/libmailserver-openssl.so.1"),
                       ("mailserver-mbedtls", "tls/libmailserver-mbedtls.so.1")):
        path = BUILD / "plain" / "src" / file
        p.command(f"{path.name} exports what it promises", [*tool, "exports", name, path])
        dynamic = p.run(["objdump", "-p", path]).stdout
        p.check(f"{path.name} has its soname", bool(re.search(rf"SONAME +lib{name}\.so\.1$", dynamic, re.M)), dynamic)
        node = "LIB" + name.upper().replace("-", "_") + "_1.0"
        p.check(f"{path.name} has its version node", node in dynamic, dynamic)


def size(p: Report) -> None:
    """A static program that only receives holds no POP3 and at most 80 KiB of the library's text."""
    if not configurations.build("plain", p):
        return
    program, link_map = BUILD / "receive-only", BUILD / "receive-only.map"
    archive = BUILD / "plain" / "src" / "libmailserver.a"
    if not p.command("a program that only receives is linked",
                     ["gcc", "-std=c11", "-O2", "-static", "-Iinclude", "-Wl,--gc-sections", f"-Wl,-Map={link_map}",
                      "tests/build/receive_only.c", archive, "-o", program]):
        return
    p.command("it receives a message", [program])
    names = p.run(["nm", program]).stdout
    pop3 = [line for line in names.splitlines() if "pop3" in line.lower()]
    p.check("it holds no symbol of POP3", not pop3, "\n".join(pop3))
    octets = text_octets(link_map.read_text(), archive.name)
    p.summaries.append(f"{octets} octets of text")
    p.check(f"its text of the library is at most {SIZE_MAX} octets", 4096 < octets <= SIZE_MAX, str(octets))


def text_octets(link_map: str, archive: str) -> int:
    """What the linker kept of the archive's text, from its map; what was discarded stands before the memory map."""
    kept = link_map.split("Linker script and memory map")[1]
    found = re.findall(rf"^ \.text\S*\s+0x\w+\s+0x(\w+) \S*{re.escape(archive)}\(", kept, re.M)
    return sum(int(n, 16) for n in found)


def install(p: Report) -> None:
    """The library alone, installed, found by pkg-config, and used by a program; without any option, and with all."""
    for name, features in (("core alone", "disabled"), ("with all", "enabled")):
        with tempfile.TemporaryDirectory() as where:
            root = Path(where)
            options = [f"-D{f}={features}" for f in FEATURES]
            options += ["-Dtests=disabled", "-Dexamples=disabled", "--prefix=/usr", "--libdir=lib"]
            if not p.command(f"{name}: built and installed",
                             ["sh", "-ec", 'meson setup "$0/build" "$@" && DESTDIR="$0/tree" meson install -C "$0/build"',
                              root, *options]):
                continue
            env = {"PKG_CONFIG_SYSROOT_DIR": f"{root}/tree", "PKG_CONFIG_LIBDIR": f"{root}/tree/usr/lib/pkgconfig",
                   "LD_LIBRARY_PATH": f"{root}/tree/usr/lib"}
            for how in ("", "-static"):
                p.command(f"{name}: a program finds it with pkg-config {how}",
                          ["sh", "-ec", f'cc tests/build/receive_only.c {how} -o "$0" '
                           f'$(pkg-config --cflags --libs {how.replace("-", "--")} libmailserver) && "$0"',
                           root / "program"], env=env)
            for library in LIBRARIES:
                there = p.run(["pkg-config", "--libs", f"libmailserver-{library}"], env=env).returncode == 0
                p.check(f"{name}: libmailserver-{library} is {'' if features == 'enabled' else 'not '}there",
                        there == (features == "enabled"))
            server = root / "tree/usr/sbin/mailserverd"
            if features == "enabled":
                p.command(f"{name}: mailserverd runs", [server, "--version"], env=env)
                p.check(f"{name}: it has a manual", (root / "tree/usr/share/man/man8/mailserverd.8").exists())
            else:
                p.check(f"{name}: mailserverd is not there", not server.exists())
    for wrong, reason in ((["-Dmailserverd=enabled", "-Duv=disabled"], "mailserverd needs uv, durable"),
                          (["-Dmailserverd=enabled", "-Ddurable=disabled"], "mailserverd needs uv, durable")):
        with tempfile.TemporaryDirectory() as where:
            done = p.run(["meson", "setup", where, *wrong])
            p.check(f"{' '.join(wrong)} is refused", done.returncode != 0 and reason in done.stdout, done.stdout)
