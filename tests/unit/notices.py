#!/usr/bin/env python3
"""Notices as Python's parser of mail and, where it is installed, flufl.bounce read them: every case of notices.c.

    notices.py test-notice
"""
import email
import email.policy
import re
import subprocess
import sys

try:
    from flufl.bounce import scan_message
except ImportError:
    scan_message = None

HOSTNAME = "mx.here.test"
FAILED = {"failed", "expired", "unsaid", "unreached", "forwarded", "headers", "too_large", "eight_bit", "utf8",
          "utf8_recipient", "no_end", "ours", "hostile"}
WHOLE = FAILED - {"headers", "too_large"} | {"mixed"}
ACTIONS = {"delayed": ["delayed"], "relayed": ["relayed"], "delivered": ["delivered"], "expanded": ["expanded"],
           "mixed": ["failed", "delayed", "relayed"]} | {name: ["failed"] for name in FAILED}
UTF8 = {"utf8", "utf8_recipient"}


def groups(part) -> list[dict]:
    """The groups of fields of a delivery status; Python parses those of message/delivery-status itself."""
    if part.get_content_type() == "message/delivery-status":
        return [dict(group.items()) for group in part.get_payload()]
    text = part.get_payload(decode=True) if not part.is_multipart() else part.get_payload(0).as_bytes()
    blocks = [block for block in text.decode("utf-8").replace("\r\n", "\n").split("\n\n") if block.strip()]
    return [dict(line.split(": ", 1) for line in re.sub(r"\n[ \t]+", " ", block.strip()).split("\n"))
            for block in blocks]


def check(name: str, octets: bytes) -> None:
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    assert not message.defects, message.defects
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied" and message["MIME-Version"] == "1.0"
    for field in ("From", "To", "Date", "Message-ID", "Subject"):
        assert len(message.get_all(field)) == 1, field
    parts = list(message.iter_parts())
    kinds = [part.get_content_type() for part in parts]
    whole = name in WHOLE
    if name in UTF8:
        expected = ["text/plain", "message/global-delivery-status", "message/global"]
    else:
        expected = ["text/plain", "message/delivery-status", "message/rfc822" if whole else "text/rfc822-headers"]
    assert kinds == expected, kinds
    per_message, *recipients = groups(parts[1])
    assert per_message["Reporting-MTA"] == f"dns; {HOSTNAME}" and "Arrival-Date" in per_message
    assert [r["Action"] for r in recipients] == ACTIONS[name], recipients
    for r in recipients:
        kind, address = r["Final-Recipient"].split("; ", 1)
        assert kind == ("utf-8" if not address.isascii() else "rfc822") and "@" in address
        digit = {"failed": "5", "delayed": "4"}.get(r["Action"], "2")
        assert re.fullmatch(digit + r"\.\d{1,3}\.\d{1,3}", r["Status"]), r
        assert ("Will-Retry-Until" in r) == (name == "delayed"), r
        assert r.get("Diagnostic-Code", "smtp; ").split(";")[0] in ("smtp", "x-mailsrv")
        assert set(r) <= {"Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
                          "Last-Attempt-Date", "Will-Retry-Until"}, r
    if scan_message is not None and name not in UTF8 | {"hostile"}:
        found = {address.decode() for address in scan_message(email.message_from_bytes(octets))}
        wanted = {r["Final-Recipient"].split("; ", 1)[1] for r in recipients if r["Action"] == "failed"}
        original = {r["Original-Recipient"].split("; ", 1)[1] for r in recipients if "Original-Recipient" in r}
        assert found == wanted or found & original or not wanted, (found, wanted)


def main() -> int:
    program, bad = sys.argv[1], 0
    names = sorted(ACTIONS)
    print(f"1..{len(names)}")
    for i, name in enumerate(names, 1):
        octets = subprocess.run([program, name], check=True, capture_output=True).stdout
        try:
            check(name, octets)
            print(f"ok {i} - {name}")
        except (AssertionError, KeyError, ValueError, IndexError, AttributeError) as error:
            bad += 1
            print(f"not ok {i} - {name}\n# {type(error).__name__}: {error}")
    if scan_message is None:
        print("# flufl.bounce is not installed")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
