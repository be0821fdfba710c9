"""What is bad, and what is said to it: for rough.py.

A step is octets and the replies to them, each a regular expression for the last line of one.  The numbers of replies
are those of RFC 5321 section 4.2 and RFC 3463; where the RFCs leave a choice it is docs/smtp.md's, pop3.md's,
imap.md's."""
import os
import random
from dataclasses import dataclass, field

CUT = b"Subject: cut\r\n\r\n" + b"a line of a message that is cut somewhere\r\n" * 20


@dataclass
class Case:
    protocol: str
    name: str
    steps: list[tuple[bytes, list[bytes]]]
    ends: bool = False  # the server closes; else a NOOP is answered, and nothing stands before its reply
    login: bool = False
    swallows: bool = False  # it waits for more, and there is nothing to ask
    greets: bool = True  # the greeting and what makes known who we are come first
    kept: list[bytes] = field(default_factory=list)  # messages that were acknowledged
    plain_only: bool = False
    tls_only: bool = False


def cases() -> list[Case]:
    return [*smtp(), *smuggling(), *submission(), *lmtp(), *pop3(), *imap(), *http()]


OK, BYE = rb"250 .*", rb"\* BYE .*"
NO_LINE = rb"500 5\.5\.2 .*"
ENVELOPE = b"MAIL FROM:<a@remote.test>\r\nRCPT TO:<pat@here.test>\r\n"
EVIL = b"MAIL FROM:<evil@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"


# ---- SMTP ----


def smtp() -> list[Case]:
    def bad(name: str, said: bytes, *replies: bytes, **more) -> Case:
        return Case("smtp", name, [(said, list(replies))], **more)

    long = b"x" * 100000
    return [
        bad("a line that is too long", b"NOOP " + long + b"\r\n", rb"500 5\.5\.2 line too long"),
        Case("smtp", "a line that is too long, in pieces", [(long, [])] * 10 + [(b"\r\n",
            [rb"500 5\.5\.2 line too long"])]),
        bad("a path that is too long", b"MAIL FROM:<" + b"a" * 300 + b"@remote.test>\r\n", rb"501 5\.1\.7 .*"),
        bad("commands that nobody knows", b"XYZZY\r\nMAILX\r\n\r\n \r\nNOOP\x80\r\n\xff\xfe\r\n",
            *[rb"500 5\.5\.1 .*"] * 6),
        bad("RCPT before MAIL", b"RCPT TO:<pat@here.test>\r\n", rb"503 5\.5\.1 .*"),
        bad("DATA before MAIL and before RCPT", b"DATA\r\nMAIL FROM:<a@remote.test>\r\nDATA\r\n", rb"503 5\.5\.1 .*",
            OK, rb"554 5\.5\.1 .*"),
        bad("MAIL twice", b"MAIL FROM:<a@remote.test>\r\nMAIL FROM:<b@remote.test>\r\n", OK, rb"503 5\.5\.1 .*"),
        bad("BDAT before MAIL: its octets are no commands", b"BDAT 6\r\nQUIT\r\n", rb"503 5\.5\.1 .*"),
        bad("BDAT of refused recipients: its octets are no commands",
            b"MAIL FROM:<a@remote.test>\r\nRCPT TO:<nobody@here.test>\r\nBDAT 25 LAST\r\nRCPT TO:<pat@here.test>\r\n",
            OK, rb"550 5\.1\.1 .*", rb"554 5\.5\.1 .*"),
        bad("BDAT without a size", ENVELOPE + b"BDAT\r\n", OK, OK, rb"421 4\.5\.4 .*", ends=True),
        bad("a negative size of BDAT", ENVELOPE + b"BDAT -1 LAST\r\n" + EVIL, OK, OK, rb"421 4\.5\.4 .*", ends=True),
        bad("a size of BDAT beyond all numbers: whatever follows is the chunk", ENVELOPE +
            b"BDAT 99999999999999999999999 LAST\r\n" + EVIL,
            OK, OK, swallows=True),
        bad("paths that are none",
            b"MAIL FROM:\r\nMAIL FROM:<a b@c>\r\nMAIL TO:<a@b>\r\nMAIL FROM:<a@b\r\nMAIL <a@b>\r\n", *[rb"501 .*"] * 5),
        bad("recipients that are none",
            b"MAIL FROM:<>\r\nRCPT TO:\r\nRCPT TO:<>\r\nRCPT TO:<pat@here.test\r\nRCPT pat@here.test\r\n", OK,
            *[rb"501 .*"] * 4),
        bad("parameters that are wrong",
            b"MAIL FROM:<a@b.test> SIZE=x\r\nMAIL FROM:<a@b.test> SIZE=\r\nMAIL FROM:<a@b.test> BODY=9BIT\r\n"
            b"MAIL FROM:<a@b.test> SIZE=1 SIZE=1\r\nMAIL FROM:<a@b.test> WHAT=x\r\n", *[rb"501 5\.5\.4 .*"] * 4,
            rb"555 5\.5\.4 .*"),
        bad("arguments where there are none", b"DATA x\r\nRSET x\r\nQUIT x\r\nSTARTTLS x\r\n",
            *[rb"501 5\.5\.4 .*"] * 4, plain_only=True),
        bad("greetings without a name", b"EHLO\r\nHELO\r\nEHLO \r\n", *[rb"501 .*"] * 3),
        bad("LHLO", b"LHLO x.remote.test\r\n", rb"500 5\.5\.1 .*"),
        bad("NUL in commands", b"NOOP\0\r\n\0\r\nMAIL FROM:<a\0@remote.test>\r\n", *[NO_LINE] * 3),
        bad("CR in a command", b"NOOP\rNOOP\r\n\rNOOP\r\nNOOP\r\r\n", *[NO_LINE] * 3),
        bad("LF in a command is no end", b"MAIL FROM:<a@remote.test>\nRCPT TO:<pat@here.test>\nDATA\n\r\n", NO_LINE),
        bad("a message of NULs is taken as it is", ENVELOPE + b"DATA\r\nSubject: nul\r\n\r\na\0b\r\n.\r\n", OK, OK,
            rb"354 .*", OK,
            kept=[b"Subject: nul\r\n\r\na\0b\r\n"]),
        bad("a line of a message that is too long is taken as it is", ENVELOPE + b"DATA\r\nSubject: long\r\n\r\n" +
            long[:50000] + b"\r\n.\r\n",
            OK, OK, rb"354 .*", OK, kept=[b"Subject: long\r\n\r\n" + long[:50000] + b"\r\n"]),
        bad("a message that is too large", ENVELOPE + b"DATA\r\nSubject: large\r\n\r\n" + (b"x" * 70 +
            b"\r\n") * 1000 + b".\r\n",
            OK, OK, rb"354 .*", rb"552 5\.3\.4 .*"),
        bad("a size that is too large", b"MAIL FROM:<a@remote.test> SIZE=70000\r\n", rb"552 5\.3\.4 .*"),
        bad("a chunk that is too large", ENVELOPE + b"BDAT 70000 LAST\r\n" + b"x" * 70000, OK, OK, rb"552 5\.3\.4 .*"),
        bad("too many recipients", b"MAIL FROM:<a@remote.test>\r\n" + b"RCPT TO:<pat@here.test>\r\n" * 101,
            *[OK] * 101, rb"452 4\.5\.3 .*"),
        Case("smtp", "too many errors", [(b"XYZZY\r\n" * 100 + ENVELOPE, [rb"500 .*"] * 19 + [rb"421 4\.7\.0 .*"])],
            ends=True),
        bad("a broken AUTH where there is none", b"AUTH PLAIN %%%\r\n", rb"502 5\.5\.1 .*"),
        Case("smtp", "bytes behind STARTTLS are not run", [(b"STARTTLS\r\n" + EVIL, [rb"220 .*"])], ends=True,
            plain_only=True),
        Case("smtp", "bytes behind STARTTLS, in a write of their own", [(b"STARTTLS\r\n", [rb"220 .*"]), (EVIL, [])],
            ends=True,
             plain_only=True),
        bad("STARTTLS under TLS", b"STARTTLS\r\n", rb"503 5\.5\.1 .*", tls_only=True),
        bad("QUIT, and more behind it", b"QUIT\r\n" + EVIL, rb"221 .*", ends=True),
    ]


# Ends of data that are none, as SMTP smuggling (CVE-2023-51764, -51765, -51766) has them, and their neighbours.
FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n",
    b"\r.\n", b"\n.\r", b"\r\n\0.\r\n",
              b"\r\n.\0\r\n", b"\r\n\r.\r\n", b"\n\n.\n\n", b"\r\n.\r\0\n", b"\r\n.\x0b\n", b"\r\n.\xc2\x85",
              b"\xe2\x80\xa8.\xe2\x80\xa8"]
HARMLESS = [b"\r\n. \r\n", b"\r\n.x\r\n", b"\r\n..\r\n", b"\r\n .\r\n"]  # lines like others; the first dot of each goes


def smuggling() -> list[Case]:
    """One message or one refusal, and nothing in it is a command (RFC 5321 sections 4.1.1.4 and 2.3.8)."""
    found = []
    inner = EVIL.removesuffix(b".\r\n").replace(b"\r\n.\r\n", b"\r\n")
    for end in FALSE_ENDS + HARMLESS:
        body = b"Subject: outer\r\n\r\ntext" + end + inner
        bare = b"\r" in body.replace(b"\r\n", b"") or b"\n" in body.replace(b"\r\n", b"")
        once = body.replace(b"\r\n.", b"\r\n")
        for protocol in ("smtp", "lmtp"):
            reply, kept = (rb"550 5\.6\.0 .*", []) if bare else (OK, [once])
            found.append(Case(protocol, f"{end!r} does not end a message",
                              [(ENVELOPE + b"DATA\r\n", [OK, OK, rb"354 .*"]), (body, []), (b".\r\n", [reply])],
                              kept=kept))
            found.append(Case(protocol, f"{end!r} in one write",
                              [(ENVELOPE + b"DATA\r\n" + body + b".\r\n", [OK, OK, rb"354 .*", reply])], kept=kept))
            found.append(Case(protocol, f"{end!r} in a chunk", [(ENVELOPE + b"BDAT %d LAST\r\n" % len(body) + body,
                [OK, OK, reply])],
                              kept=[body] if not bare else []))
    return found


def submission() -> list[Case]:
    def bad(name: str, said: bytes, *replies: bytes, **more) -> Case:
        return Case("submission", name, [(said, list(replies))], **more)

    return [
        bad("MAIL before login", ENVELOPE, rb"530 5\.7\.0 .*", rb"503 5\.5\.1 .*"),
        bad("base64 that is none", b"AUTH PLAIN %%%\r\nAUTH PLAIN AHBhdABzZWNyZX\r\nAUTH PLAIN AHBhd=ABzZWNyZXQ=\r\n",
            *[rb"501 5\.5\.2 .*"] * 3),
        Case("submission", "base64 that is none, as an answer",
             [(b"AUTH PLAIN\r\n", [rb"334 .*"]), (b"%%%\r\n", [rb"501 5\.5\.2 .*"]), (b"AUTH LOGIN\r\n", [rb"334 .*"]),
             (b"=\r\n", [rb"501 5\.5\.2 .*"])]),
        Case("submission", "an answer that is too long", [(b"AUTH PLAIN\r\n", [rb"334 .*"]), (b"A" * 100000 + b"\r\n",
            [rb"500 5\.5\.6 .*"])]),
        Case("submission", "an exchange that is called off", [(b"AUTH PLAIN\r\n", [rb"334 .*"]), (b"*\r\n",
            [rb"501 .*"])]),
        Case("submission", "an answer with NUL, CR or LF", [(b"AUTH PLAIN\r\n", [rb"334 .*"]), (b"AHBh\0dABz\r\n",
            [rb"501 5\.5\.2 .*"])]),
        bad("a mechanism that nobody knows", b"AUTH NOTHING\r\nAUTH\r\n", rb"504 5\.5\.4 .*", rb"501 5\.5\.4 .*"),
        bad("PLAIN without its NULs", b"AUTH PLAIN cGF0c2VjcmV0\r\n", rb"535 5\.7\.8 .*"),
        bad("a second login", b"AUTH PLAIN AHBhdABzZWNyZXQ=\r\n", rb"503 .*", login=True),
        bad("bytes behind STARTTLS are not run", b"STARTTLS\r\nAUTH PLAIN AHBhdABzZWNyZXQ=\r\n" + EVIL, rb"220 .*",
            ends=True, plain_only=True),
    ]


def lmtp() -> list[Case]:
    def bad(name: str, said: bytes, *replies: bytes, **more) -> Case:
        return Case("lmtp", name, [(said, list(replies))], **more)

    return [
        bad("EHLO and HELO", b"EHLO x.remote.test\r\nHELO x.remote.test\r\n", *[rb"500 5\.5\.1 .*"] * 2),
        bad("DATA without recipients", b"MAIL FROM:<a@remote.test>\r\nRCPT TO:<nobody@here.test>\r\nDATA\r\n", OK,
            rb"550 5\.1\.1 .*", rb"503 5\.5\.1 .*"),
        bad("a message that is too large, of two", b"MAIL FROM:<a@remote.test>\r\n" +
            b"RCPT TO:<pat@here.test>\r\n" * 2 + b"DATA\r\n" +
            (b"x" * 70 + b"\r\n") * 1000 + b".\r\n", OK, OK, OK, rb"354 .*", *[rb"552 5\.3\.4 .*"] * 2),
        bad("STARTTLS where there is none", b"STARTTLS\r\n", rb"502 5\.5\.1 .*"),
        bad("a line that is too long", b"NOOP " + b"x" * 100000 + b"\r\n", rb"500 5\.5\.2 line too long"),
        bad("NUL, CR and LF in commands", b"NOOP\0\r\nNOOP\rNOOP\r\nNOOP\nNOOP\r\n", *[NO_LINE] * 3),
    ]


# ---- POP3 ----

ERR = rb"-ERR .*"


def pop3() -> list[Case]:
    def bad(name: str, said: bytes, *replies: bytes, **more) -> Case:
        return Case("pop3", name, [(said, list(replies))], **more)

    return [
        bad("a line that is too long", b"USER " + b"x" * 100000 + b"\r\n", rb"-ERR line too long"),
        Case("pop3", "a line that is too long, in pieces", [(b"x" * 50000, [])] * 10 + [(b"\r\n",
            [rb"-ERR line too long"])]),
        bad("commands that nobody knows", b"XYZZY\r\n\r\n \r\n\xff\xfe\r\n", *[ERR] * 4),
        bad("commands before login", b"STAT\r\nRETR 1\r\nDELE 1\r\nNOOP\r\nPASS secret\r\n", *[ERR] * 5),
        bad("arguments that are missing", b"USER\r\nAUTH X\r\nAPOP a\r\n", *[ERR] * 3),
        bad("numbers that are none",
            b"RETR x\r\nRETR 0\r\nRETR -1\r\nRETR 4294967297\r\nRETR 99999999999999999999\r\nTOP 1\r\nTOP 1 x\r\nDELE\r\n",
            *[ERR] * 8, login=True),
        bad("commands before login, after it", b"USER pat\r\nSTLS\r\nAUTH PLAIN AHBhdABzZWNyZXQ=\r\n", *[ERR] * 3,
            login=True),
        bad("NUL in a command", b"USER pat\0\r\nPASS secret\r\n", *[ERR] * 2),
        bad("CR and LF in commands", b"USER pat\nPASS secret\r\nUSER pat\rPASS secret\r\nSTAT\n\r\n", *[ERR] * 3),
        bad("base64 that is none", b"AUTH PLAIN %%%\r\nAUTH PLAIN AHBhdABzZWNyZX\r\n", *[ERR] * 2),
        Case("pop3", "base64 that is none, as an answer", [(b"AUTH PLAIN\r\n", [rb"\+ "]), (b"%%%\r\n", [ERR])]),
        Case("pop3", "an answer that is too long", [(b"AUTH PLAIN\r\n", [rb"\+ "]), (b"A" * 100000 + b"\r\n", [ERR])]),
        Case("pop3", "an exchange that is called off", [(b"AUTH PLAIN\r\n", [rb"\+ "]), (b"*\r\n", [ERR])]),
        bad("bytes behind STLS are not run", b"STLS\r\nUSER pat\r\nPASS secret\r\nSTAT\r\n", rb"\+OK.*", ends=True,
            plain_only=True),
        bad("STLS under TLS", b"STLS\r\n", ERR, tls_only=True),
        bad("too many errors", b"XYZZY\r\n" * 100, *[rb"-ERR unknown command"] * 19, rb"-ERR too many errors",
            ends=True),
        bad("QUIT, and more behind it", b"QUIT\r\nSTAT\r\n", rb"\+OK.*", ends=True),
    ]


# ---- IMAP ----


def imap() -> list[Case]:
    def bad(name: str, said: bytes, *replies: bytes, **more) -> Case:
        return Case("imap", name, [(said, list(replies))], **more)

    def tagged(name: str, commands: bytes, status: bytes = rb"BAD", **more) -> Case:
        """Each of these lines is refused, by its tag."""
        lines = [b"t%d " % i + line for i, line in enumerate(commands.split(b"\n"))]
        replies = [b"t%d " % i + status + rb" .*" for i in range(len(lines))]
        return bad(name, b"".join(line + b"\r\n" for line in lines), *replies, **more)

    return [
        bad("a line that is too long", b"a NOOP " + b"x" * 100000 + b"\r\n", rb"a BAD .*"),
        Case("imap", "a line that is too long, in pieces", [(b"a" + b"x" * 50000, [])] * 10 + [(b"\r\n",
            [rb"\* BAD .*"])]),
        tagged("commands that nobody knows", b"XYZZY\nNOOPX\n\xff\xfe\nUID\nUID XYZZY"),
        bad("lines without a command or a tag", b"\r\n \r\na\r\n* NOOP\r\n+ NOOP\r\n(a NOOP\r\n",
            *[rb"\S+ BAD .*"] * 6),
        tagged("commands before login",
            b"SELECT INBOX\nLIST \"\" *\nFETCH 1 FLAGS\nSTORE 1 FLAGS ()\nCLOSE\nAPPEND INBOX \"x\""),
        tagged("arguments that are wrong, before login",
            b"LOGIN\nLOGIN pat\nLOGIN pat secret more\nNOOP x\nLOGIN \"pat secret\nAUTHENTICATE"),
        tagged("sets that are none",
            b"FETCH 0 FLAGS\nFETCH 4294967296 FLAGS\nFETCH 1: FLAGS\nFETCH ,1 FLAGS\nFETCH 1:2:3 FLAGS\nFETCH -1 FLAGS\n"
            b"FETCH x FLAGS\nUID FETCH 0 FLAGS", login=True),
        tagged("arguments that are wrong",
            b"FETCH 1\nFETCH 1 (FLAGS\nFETCH 1 XYZZY\nFETCH 1 BODY[\nFETCH 1 BODY[0]\nFETCH 1 BODY[1]<0.0>\n"
               b"STORE 1 FLAGS \\Bogus(\nSTORE 1 XFLAGS ()", login=True),
        tagged("searches that are wrong",
            b"SEARCH\nSEARCH XYZZY\nSEARCH BEFORE x\nSEARCH (ALL\nSEARCH NOT\nSEARCH OR ALL", login=True),
        bad("a search of a thousand brackets", b"a SEARCH " + b"(" * 1000 + b"ALL" + b")" * 1000 + b"\r\n",
            rb"a NO \[LIMIT\] .*", login=True),
        bad("NUL in a line, and in quotes", b"a NOOP\0\r\nb LOGIN \"pat\0\" secret\r\n", *[rb"\S+ BAD .*"] * 2),
        bad("NUL in a literal", b"a LOGIN {3+}\r\np\0t secret\r\n", rb"a BAD .*"),
        bad("CR and LF in commands", b"a NOOP\nb NOOP\r\na NOOP\rb NOOP\r\n", *[rb"\S+ BAD .*"] * 2),
        bad("base64 that is none", b"a AUTHENTICATE PLAIN %%%\r\nb AUTHENTICATE PLAIN AHBhdABzZWNyZX\r\n",
            rb"a BAD .*", rb"b BAD .*"),
        Case("imap", "base64 that is none, as an answer", [(b"a AUTHENTICATE PLAIN\r\n", [rb"\+ "]), (b"%%%\r\n",
            [rb"a BAD .*"])]),
        Case("imap", "an exchange that is called off", [(b"a AUTHENTICATE PLAIN\r\n", [rb"\+ "]), (b"*\r\n",
            [rb"a BAD .*"])]),
        bad("literals that are none", b"a LOGIN {x}\r\nb LOGIN {}\r\nc LOGIN {-1}\r\nd LOGIN {3\r\ne LOGIN 3}\r\n",
            *[rb"\S BAD .*"] * 5),
        bad("a literal before login that is too large", b"a LOGIN {100000}\r\n", rb"a BAD .*"),
        bad("a literal that does not wait and is far too large", b"a LOGIN {4000000000+}\r\n", BYE, ends=True),
        bad("a literal beyond all numbers", b"a LOGIN {99999999999999999999999}\r\n", rb"a BAD .*"),
        bad("a message that is too large", b"a APPEND INBOX {70000}\r\n", rb"a NO .*", login=True),
        bad("a message that is too large and does not wait", b"a APPEND INBOX {70000+}\r\n" + b"a LOGOUT\r\n" * 7000 +
            b"\r\n", rb"a NO .*", login=True),
        bad("a refused APPEND: its octets are no commands", b"a APPEND Nowhere {21+}\r\nb CREATE Injected-1\r\n\r\n",
            rb"a NO .*", login=True),
        bad("a message with NUL", b"a APPEND INBOX {14+}\r\nSubject: \0\r\n\r\n\r\n", rb"a NO .*", login=True),
        bad("a message with bare CR and LF", b"a APPEND INBOX {18+}\r\nSubject: b\n\na\rb\n\r\n\r\n",
            rb"a OK \[APPENDUID .*", login=True,
            kept=[b"Subject: b\n\na\rb\n\r\n"[:18]]),
        Case("imap", "something else than DONE", [(b"a IDLE\r\n", [rb"\+ .*"]), (b"b NOOP\r\n", [rb"a BAD .*"])],
            login=True),
        bad("bytes behind STARTTLS are not run", b"a STARTTLS\r\nb LOGIN pat secret\r\nc SELECT INBOX\r\n",
            rb"a OK .*", ends=True, plain_only=True),
        bad("STARTTLS under TLS", b"a STARTTLS\r\n", rb"a BAD .*", tls_only=True),
        bad("names that are none",
            b"a CREATE \"\"\r\nb CREATE INBOX\r\nc CREATE \"a//b\"\r\nd DELETE INBOX\r\ne CREATE \"&broken\"\r\n"
            b"f SELECT \"" + b"x" * 5000 + b"\"\r\n", *[rb"\S NO \[(CANNOT|ALREADYEXISTS)\] .*"] * 6, login=True),
        bad("too many errors", b"a XYZZY\r\n" * 100, *[rb"a BAD .*"] * 20, BYE, ends=True),
        bad("LOGOUT, and more behind it", b"a LOGOUT\r\nb NOOP\r\n", BYE, rb"a OK .*", ends=True),
    ]


# ---- HTTP, TLS, and those who go ----


def http() -> list[Case]:
    get = b"GET / HTTP/1.1\r\nHost: here.test\r\n\r\n"
    post = b"POST / HTTP/1.1\r\nHost: here.test\r\nContent-Length: 200\r\n\r\n" + EVIL
    said = {"smtp": rb"421 4\.7\.0 .*", "submission": rb"421 4\.7\.0 .*", "lmtp": rb"421 4\.7\.0 .*",
            "pop3": rb"-ERR this is no web server", "imap": rb"\* BYE this is no web server"}
    greeting = {"pop3": rb"\+OK .*", "imap": rb"\* OK .*"}
    return [Case(protocol, f"{request[:4].decode().strip()} of HTTP", [(request, [greeting.get(protocol, rb"220 .*"),
        reply])], ends=True, greets=False)
            for protocol, reply in said.items() for request in (get, post)]


JUNK = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: here.test\r\n\r\n",
    "NULs": b"\0" * 300,
    "octets at random": random.Random(int(os.environ.get("MAILSRV_SEED", 1))).randbytes(300),
    "half a record": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a record that is too long": b"\x16\x03\x01\xff\xff" + b"\x01" * 300,
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "application data": b"\x17\x03\x03\x00\x10" + b"x" * 16,
    "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x05" * 40,
    "nothing": b"",
}
STARTTLS = {
    "mx": [(b"", rb"220 .*"), (b"EHLO rough.remote.test\r\n", rb"250 .*"), (b"STARTTLS\r\n", rb"220 .*")],
    "submission": [(b"", rb"220 .*"), (b"EHLO rough.remote.test\r\n", rb"250 .*"), (b"STARTTLS\r\n", rb"220 .*")],
    "pop3": [(b"", rb"\+OK .*"), (b"STLS\r\n", rb"\+OK.*")],
    "imap": [(b"", rb"\* OK .*"), (b"a STARTTLS\r\n", rb"a OK .*")],
}


def cut_short() -> list[tuple[str, str, bytes, bytes]]:
    """Protocol, what it is, all of it, and what is said when it is whole."""
    data = ENVELOPE + b"DATA\r\n" + CUT + b".\r\n"
    chunk = ENVELOPE + b"BDAT %d LAST\r\n" % len(CUT) + CUT
    two = ENVELOPE + b"BDAT 100\r\n" + CUT[:100] + b"BDAT %d LAST\r\n" % (len(CUT) - 100) + CUT[100:]
    append = b"a APPEND INBOX (\\Seen) {%d+}\r\n" % len(CUT) + CUT + b"\r\n"
    done = rb"(?m)^250 2\.0\.0 accepted\r$"
    return [("smtp", "DATA", data, done), ("smtp", "BDAT", chunk, done), ("smtp", "BDAT in two", two, done), ("lmtp",
        "DATA", data, rb"(?m)^250 2\."),
            ("imap", "APPEND", append, rb"(?m)^a OK ")]


def unfinished(protocol: str) -> bytes:
    return {"smtp": ENVELOPE + b"DATA\r\n" + CUT, "submission": ENVELOPE.replace(b"a@remote", b"pat@here") +
        b"DATA\r\n" + CUT,
            "pop3": b"DELE 1\r\n", "imap": b"a APPEND INBOX {%d+}\r\n" % len(CUT) + CUT[:-20]}[protocol]
