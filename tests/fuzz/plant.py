#!/usr/bin/env python3
"""plant.py TARGET ROOT OUT: writes a file of src/ with the fault that a fuzz target must find; the target is then linked
with it in the place of the right one (tests/planting.py).

plant.py --file TARGET: names the file."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import planting

# target: file, what stands there, what is put in its place
FAULTS = {
    # A CR at the end of a piece is forgotten: the line's end that it begins is overlooked.
    "line": ("frame/line.c", "if (f->fate == FRAMED_MORE)\n", "f->cr = false;\n    if (f->fate == FRAMED_MORE)\n"),
    # LF alone ends a line, so that LF "." CRLF ends the message.
    "dots": ("frame/dots.c", "return at == AT_CR && c == '\\n' ?", "return c == '\\n' ?"),
    # The chunk takes the first octet of what follows it.
    "counted": ("frame/dots.c", "if (out->n > c->left)\n        out->n = (size_t)c->left;",
                "if (out->n > c->left + 1)\n        out->n = (size_t)c->left;\n"
                "    if (out->n > c->left)\n        c->left = out->n;"),
    # A line that is only a dot goes out as it is.
    "stuff": ("frame/stuff.c", "part->dot = in->p[0] == '.' &&", "part->dot = in->n > 1 && in->p[1] != '\\r' && in->p[0] == '.' &&"),
    # A line with only a CR in it, cut behind that, is text.
    "top": ("frame/stuff.c", "if (octets.n == 0)\n        return before;", "if (octets.n == 0)\n        return before == LINE_CR ? LINE_TEXT : before;"),
    # One octet is read behind the text.
    "path": ("text/address.c", "if (n == 0 && (text->n == 0 || text->p[0] < ' '", "if (n == 0 && (text->p[0] < ' '"),
    # The beginning of a name that came with the piece before is not looked at.
    "header_editor": ("message/header_editor.c", "if (e->held_n == 0)\n        line =", "if (in->n != 0)\n        line ="),
    # A field may be longer than what is there.
    "queue_record": ("text/queue_record.c", "if (!read_number(in, 2, &n) || n > in->n)", "if (!read_number(in, 2, &n))"),
    # A label may end one octet behind the message.
    "dns": ("dns/name.c", "n >= r->message.n - r->at ||", "n > r->message.n - r->at ||"),
    # The first difference of a label is scaled as the others are.
    "alabel": ("text/alabel.c", "delta = first ? delta / DAMP : delta / 2;", "(void)first;\n    delta /= 2;"),
    # The last digit may carry the number over its end.
    "decimal": ("text/decimal.c", "sum > (UINT64_MAX - digit) / 10", "sum > UINT64_MAX / 10"),
    # The number of an announcement goes on behind the one before it.
    "literal": ("frame/literal.c", "        f->number = 0;\n", ""),
    # A quoted string may end behind what there is.
    "imap_parse": ("imap/parse.c", "if (n >= r->rest.n || r->rest.p[n] != '\"')", "if (r->rest.p[n] != '\"')"),
    # What is not known is not so, and the contrary of it is.
    "search": ("imap/search_key.c", "return match == MATCH_UNKNOWN ? match : of(match == MATCH_NO);",
               "return of(match != MATCH_YES);"),
    # The CR of a line's end that was cut is not counted with it.
    "scanner": ("message/scanner.c", "char before = n > 1 ? octets.p[n - 2] : s->last;",
                "char before = n > 1 ? octets.p[n - 2] : '\\n';"),
    # A text that was found in part is forgotten with the piece that it began in.
    "seek": ("message/seek_keys.c", "    key->at = at;\n", "    key->at = 0;\n"),
    # A blank that ends a body is lost.
    "seven_bit": ("message/seven_bit.c", "put_held(s, true);", "s->held = 0;"),
    # A number may go on behind the end of the blob.
    "structure": ("message/structure.c", "for (unsigned i = 0; i < from->n && i < NUMBER_OCTETS_MAX; i++) {",
                  "for (unsigned i = 0; i < NUMBER_OCTETS_MAX; i++) {"),
    # A backslash at the end escapes what stands behind it.
    "fields": ("message/lexer.c", "if (c == '\\\\' && i + 1 < text.n)", "if (c == '\\\\')"),
    # Bits that the padding leaves over may be set: two texts are one value.
    "base64": ("text/base64.c", "if ((bits & ((UINT32_C(1) << 8 * pad) - 1)) != 0)", "if (bits > UINT32_C(0xFFFFFF))"),
    # A value may be empty.
    "scram": ("sasl/scram_message.c", "if (text.n < 3 ||", "if (text.n < 2 ||"),
    # A signature that is only begun is enough.
    "sasl_client": ("sasl/client_scram.c", "n != s->salting.octets || !mailsrv__secret_equal", "!mailsrv__secret_equal"),
    # DEL is allowed.
    "prepare": ("sasl/prepare.c", "{ 0x7F, 0x9F }", "{ 0x80, 0x9F }"),
    # What the machine does not take of a record is lost.
    "records": ("core/records.c", "tls->at = (uint16_t)(tls->n - in.n);", "tls->at = tls->n;"),
    # Extensions of no octets end the list.
    "hello": ("tls/mbedtls/hello.c", "h->extensions_left == 0 ? AT_END", "h->extensions_left == 0 || h->value == 0 ? AT_END"),
    # A word may be as long as the room for it, and its end stands in somebody else's.
    "config": ("mailserverd/config.c", "if (n == 0 || n >= room)", "if (n == 0 || n > room)"),
    # An address is kept as it was written.
    "people": ("mailserverd/people.c", "    text_lower(copy);\n    memmove", "    memmove"),
    # A UIDL may be one octet longer than it can be.
    "maildir": ("mailserverd/maildir_index.c", "n > EXCHANGE_UIDL_MAX ||", "n > EXCHANGE_UIDL_MAX + 1 ||"),
    # What is taken away of a quoted line is counted.
    "mbox": ("mailserverd/mbox.c", "octets += crlf_octets(l.p + quote, l.n - quote);", "octets += crlf_octets(l.p, l.n);"),
    # A UIDL may be one octet longer than it can be.
    "exchange": ("mailserverd/exchange.c", "if (n > most ||", "if (n > most + 1 ||"),
    # 0 is a kind of frame, too.
    "wire": ("mailserverd/wire.c", " || head[0] == '\\0')", ")"),
    # A long reverse-path is copied into room for a short one.
    "smtp": ("smtp/transaction.c", "mailsrv__session_take(session, sizeof *t + reverse_path.n)",
             "mailsrv__session_take(session, sizeof *t + (reverse_path.n & 15))"),
    # The text of a reply may be one octet longer than its room.
    "smtp_client": ("smtp/client_reply.c", "r->n < r->room", "r->n <= r->room"),
    # The memory of a kept header is given back as if it were as small as the header.
    "submission": ("smtp/header.c", "mailsrv__session_give(session, h->p, h->room);\n    *h",
                   "mailsrv__session_give(session, h->p, h->n);\n    *h"),
    # An address with two mailboxes gets room for one.
    "lmtp": ("smtp/transaction.c", "sizeof(struct recipient) + n * (", "sizeof(struct recipient) + 1 * ("),
    # The tag is not kept: IDLE and APPEND outlive the text of their command.
    "imap": ("imap/imap.c", "r->no_memory = !mailsrv__arena_copy(r->arena, tag, &p->command.tag);", "p->command.tag = tag;"),
    # UIDL of one message does not go on behind an empty page.
    "pop3": ("pop3/list.c", "if (rows->more == 0)\n        return no_such_message(p);", "return no_such_message(p);"),
}


planting.main(FAULTS)
