#!/usr/bin/env python3
"""plant.py RULE ROOT OUT: writes a file of src/ without one rule of the queue (tests/planting.py); the simulation that is
linked with it must find that.

plant.py --file RULE: names the file."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import planting

# rule: file, what stands there, what is put in its place
FAULTS = {
    # What was being sent when the connection was lost is forgotten.
    "in-flight": ("queue/settle.c", "mailsrv__settle(item, plans[fate]);",
                  "mailsrv__settle(item, fate == SMTP_LATER && reply->code == 0 ? PLAN_DELETE : plans[fate]);"),
    # What was said of the first recipient holds for all.
    "per-recipient": ("queue/link.c", "    if (fate == SMTP_UNABLE &&",
                      "    static enum smtp_fate first;\n    if (i == 0)\n        first = fate;\n    fate = first;\n"
                      "    if (fate == SMTP_UNABLE &&"),
    # The null reverse-path is told, too.
    "null-path": ("queue/notice.c", "if (r->reverse_path.n == 0 || (r->flags & QUEUE_FLAG_NOTICE) != 0)", "if (false)"),
    # How often it was tried is not written down.
    "schedule": ("queue/write.c", "r.tries += r.tries != UINT32_MAX;", "r.tries += r.tries == UINT32_MAX;"),
    # Mail that has no sender, or of whose failure nobody is to be told, is forgotten instead of put off.
    "no-sender": ("queue/settle.c", "mailsrv__settle(item, plans[fate]);",
                  "bool forgets = item->record.reverse_path.n == 0 && (item->record.flags & QUEUE_FLAG_NOTICE) == 0;\n"
                  "    mailsrv__settle(item, fate == SMTP_LATER && forgets ? PLAN_DELETE : plans[fate]);"),
    "never-told": ("queue/settle.c", "mailsrv__settle(item, plans[fate]);",
                   "bool never = (item->record.flags & QUEUE_FLAG_NOTIFY_NEVER) != 0;\n"
                   "    mailsrv__settle(item, fate == SMTP_LATER && never ? PLAN_DELETE : plans[fate]);"),
    # A notice that could not be delivered at once is forgotten.
    "notice-kept": ("queue/settle.c", "mailsrv__settle(item, plans[fate]);",
                    "bool is_notice = (item->record.flags & QUEUE_FLAG_NOTICE) != 0;\n"
                    "    mailsrv__settle(item, fate == SMTP_LATER && is_notice ? PLAN_DELETE : plans[fate]);"),
    # What fails for now has failed for good.
    "patience": ("queue/settle.c", "[SMTP_LATER] = PLAN_DEFER,", "[SMTP_LATER] = PLAN_GIVE_UP,"),
    # It is given up a day too early.
    "age": ("queue/schedule.c", "return mailsrv__queue_unix(q) >= mailsrv__schedule_expires(q, r);",
            "return mailsrv__queue_unix(q) >= mailsrv__schedule_expires(q, r) - 24 * HOUR_US;"),
    # Nothing is ever too old.
    "expiry": ("queue/schedule.c", "return mailsrv__queue_unix(q) >= mailsrv__schedule_expires(q, r);",
               "(void)q, (void)r;\n    return false;"),
    # Whatever is for one server goes as one message.
    "one-message": ("queue/batch.c", "mailsrv__span_equal(r->message, s->message) &&", "s->message.n != 0 &&"),
    # Whatever is told is told in one notice.
    "one-notice": ("queue/owed.c", "mailsrv__span_equal(r->message, s->message) &&", "s->message.n != 0 &&"),
    # An item is deleted although its notice could not be committed.
    "notice-first": ("queue/owed.c", "telling->status = status;", "(void)status;\n    telling->status = MAILSRV_OK;"),
    # An item that the store could not delete is forgotten.
    "delete": ("queue/write.c", "bool again = status != MAILSRV_OK && !q->closing;",
               "bool again = false;\n    (void)status;"),
    # A page that is older than what was done to an item since counts.
    "older-page": ("queue/row.c", "return item != NULL && (item->state != ITEM_GONE || item->scan >= scan);",
                   "(void)scan;\n    return item != NULL && item->state != ITEM_GONE;"),
    # As many items are held in memory as come.
    "room": ("queue/item.c", "if (q->n_items >= q->limits.items + PAGE_ITEMS)", "if (q->n_items == UINT32_MAX)"),
    # Mail that must not goes in the clear.
    "tls": ("smtp/client_hello.c", "return c->terms.secure == MAILSRV_SECURE_MUST || c->terms.secure == MAILSRV_SECURE_VERIFY || c->terms.dane != NULL;",
            "(void)c;\n    return false;"),
    # Nobody logs in.
    "login": ("smtp/client_hello.c", "return logs_in ? mailsrv__client_log_in(c) : mailsrv__client_ready(c);",
              "(void)logs_in;\n    return mailsrv__client_ready(c);"),
}


planting.main(FAULTS)
