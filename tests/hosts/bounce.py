"""A notice of what became of a message (RFC 3464), read by Python's parser, and by two programs that do nothing else:
Mail::DeliveryStatus::BounceParser and flufl.bounce."""
import email
import re
import shutil
import subprocess
from email.message import Message
from email.utils import parsedate_to_datetime

from host import HANG_S
from tree import unpacked

PARSER = "libmail-deliverystatus-bounceparser-perl"
BY_PERL = """\
use Mail::DeliveryStatus::BounceParser;
my $bounce = Mail::DeliveryStatus::BounceParser->new(join '', <STDIN>);
print $bounce->is_bounce ? "1\\n" : "0\\n";
print join(' ', $_->get('email'), $_->get('std_reason'), $_->get('smtp_code') // ''), "\\n" for $bounce->reports;
"""
BY_FLUFL = """\
import email, sys
from flufl.bounce import scan_message
print(*sorted(address.decode() for address in scan_message(email.message_from_bytes(sys.stdin.buffer.read()))))
"""


def says(program: list, octets: bytes) -> list[str]:
    done = subprocess.run([str(word) for word in program], input=octets, capture_output=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode().splitlines()


def by_perl(octets: bytes) -> dict[str, str]:
    """Address: why, in its words.  It reads mail as files have it."""
    octets = octets.replace(b"\r\n", b"\n")
    is_bounce, *reports = says(["perl", "-I", unpacked(PARSER) / "usr/share/perl5", "-e", BY_PERL], octets)
    assert is_bounce == "1", octets
    return {line.split()[0]: line.split()[1] for line in reports}


def has_flufl() -> str | None:
    """A Python that has it: of Debian's packages that is Debian's own."""
    for python in ("python3", "/usr/bin/python3"):
        if path := shutil.which(python):
            if subprocess.run([path, "-c", "import flufl.bounce"], capture_output=True).returncode == 0:
                return path
    return None


def by_flufl(python: str, octets: bytes) -> list[str]:
    return says([python, "-c", BY_FLUFL], octets)[0].split()


class Notice:
    """Every field that RFC 3464 sections 2.2 and 2.3 require is looked at here."""

    def __init__(self, octets: bytes, mta: str, sender: str):
        self.octets, self.whole = octets, email.message_from_bytes(octets)
        whole = self.whole
        assert not whole.defects and whole.get_content_type() == "multipart/report", whole.defects
        assert whole.get_param("report-type") == "delivery-status", whole["Content-Type"]
        assert whole["From"].endswith(f"<MAILER-DAEMON@{mta}>") and sender in whole["To"], whole.items()
        assert whole["Auto-Submitted"].startswith("auto-replied") and whole["Message-ID"], whole.items()  # RFC 3834 section 3.1.7
        parsedate_to_datetime(whole["Date"])
        self.text, report, self.original = whole.get_payload()
        assert self.text.get_content_type() == "text/plain" and report.get_content_type() == "message/delivery-status"
        self.message, *recipients = report.get_payload()
        assert self.message["Reporting-MTA"] == f"dns; {mta}", self.message.items()  # 2.2.2
        parsedate_to_datetime(self.message["Arrival-Date"])
        self.recipients = {self.address(fields): fields for fields in recipients}
        assert len(self.recipients) == len(recipients) >= 1, recipients

    def address(self, fields: Message) -> str:
        kind, address = fields["Final-Recipient"].split("; ")  # 2.3.2
        assert kind == "rfc822" and "@" in address, fields.items()
        assert fields["Action"] in ("failed", "delayed", "delivered", "relayed", "expanded"), fields.items()  # 2.3.3
        assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", fields["Status"]), fields.items()  # 2.3.4
        if fields["Last-Attempt-Date"]:
            parsedate_to_datetime(fields["Last-Attempt-Date"])
        assert address in self.text.get_payload(), self.text.get_payload()
        return address

    def action(self) -> str:
        (action,) = {fields["Action"] for fields in self.recipients.values()}
        return action

    def is_whole(self, sent: bytes) -> None:
        """The message comes back, behind our trace."""
        assert self.original.get_content_type() == "message/rfc822", self.original.get_content_type()
        part = self.octets[self.octets.index(b"Content-Type: message/rfc822"):]
        assert sent.rstrip(b"\r\n") in part, part

    def is_header(self, sent: bytes) -> None:
        assert self.original.get_content_type() == "text/rfc822-headers", self.original.get_content_type()
        header, body = sent.split(b"\r\n\r\n", 1)
        assert header in self.octets and body.rstrip() not in self.octets, self.octets
