/* What POLICY answers, as files say it behind the arrow. */
#include "run.h"

/* `550`, and perhaps `7.27` behind it, which become the reply's codes; the rest is its text. */
static void read_codes(struct text *rest, mailsrv_verdict *v)
{
    struct text after = *rest, word = text_word(&after);
    uint64_t number = 0;
    if (word.n != 3 || !text_number(word, &number))
        return;
    v->code = (uint32_t)number;
    *rest = after;
    word = text_word(&after);
    size_t dot = text_find(word, ".");
    uint64_t subject = 0, detail = 0;
    if (dot == word.n || !text_number((struct text){ word.p, dot }, &subject) ||
        !text_number(text_after(word, dot + 1), &detail))
        return;
    v->subject = (uint32_t)subject;
    v->detail = (uint32_t)detail;
    *rest = after;
}

/* A mailbox, or `queue`, and perhaps an address behind it. */
static void read_place(struct run *run, struct text rest, mailsrv_verdict *v)
{
    struct text place = text_word(&rest);
    struct box box;
    v->to.kind = MAILSRV_TARGET_QUEUE;
    v->address = (mailsrv_bytes){ (const uint8_t *)rest.p, rest.n };
    if (text_is(place, "queue") || !box_find(run, place, &box))
        return;
    v->to.kind = MAILSRV_TARGET_MAILBOX;
    v->to.account = box.account;
    v->to.mailbox = box.id;
}

/* Fields, with `\\n` between their lines. */
static void read_fields(struct text rest, struct buffer *fields)
{
    while (rest.n != 0) {
        size_t n = text_find(rest, "\\n");
        buffer_add(fields, rest.p, n);
        buffer_add_text(fields, "\r\n");
        rest = n == rest.n ? (struct text){ rest.p, 0 } : text_after(rest, n + 2);
    }
}

int32_t verdict_answer(struct run *run, const struct entry *entry)
{
    bool said = entry->reply == REPLY_VERDICT;
    mailsrv_verdict v = { .size = sizeof v, .verdict = said ? entry->verdict : MAILSRV_POLICY_CONTINUE };
    struct buffer fields = { 0 };
    struct text text = said ? entry->text : text_of("");
    if (v.verdict == MAILSRV_POLICY_QUARANTINE || v.verdict == MAILSRV_POLICY_REDIRECT)
        read_place(run, text, &v);
    else if (v.verdict == MAILSRV_POLICY_ADD_FIELDS)
        read_fields(text, &fields);
    else
        read_codes(&text, &v);
    v.fields = (mailsrv_bytes){ (const uint8_t *)fields.p, fields.n };
    mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &v };
    if (v.verdict == MAILSRV_POLICY_REJECT || v.verdict == MAILSRV_POLICY_LATER)
        answer.text = (mailsrv_bytes){ (const uint8_t *)text.p, text.n };
    run->discards = run->discards || v.verdict == MAILSRV_POLICY_DISCARD;
    int32_t status = mailsrv_op_answer(run->engine, entry->id, &answer);
    buffer_free(&fields);
    return status;
}
