/* Sequence sets.  They are read in two passes, so that their room is known before: first the end is found and the
 * ranges are counted, then they become runs. */
#include "imap/walk.h"

/* ---- Scanning ---- */

/* nz-number = digit-nz *DIGIT, below 2^32 */
static bool scan_number(struct span *text)
{
    uint64_t value = 0;
    size_t n = 0;
    for (; n < text->n && text->p[n] >= '0' && text->p[n] <= '9'; n++) {
        value = value * 10 + (uint64_t)(text->p[n] - '0');
        if (value == 0 || value > UINT32_MAX)
            return false;
    }
    *text = mailsrv__span_after(*text, n);
    return n != 0;
}

static bool scan_char(struct span *text, char c)
{
    if (text->n == 0 || text->p[0] != c)
        return false;
    *text = mailsrv__span_after(*text, 1);
    return true;
}

/* seq-number = nz-number / "*" */
static bool scan_seq_number(struct span *text)
{
    return scan_char(text, '*') || scan_number(text);
}

/* How many ranges the set in front of `*text` has, which is taken; 0: there is none. */
static uint32_t scan(struct span *text)
{
    uint32_t n = 0;
    do {
        if (!scan_seq_number(text) || (scan_char(text, ':') && !scan_seq_number(text)))
            return 0;
        n++;
    } while (scan_char(text, ','));
    return n;
}

/* ---- Reading ---- */

static uint32_t take_seq_number(struct span *text, uint32_t last)
{
    uint32_t value = 0;
    size_t n = 0;
    if (scan_char(text, '*'))
        return last;
    for (; n < text->n && text->p[n] >= '0' && text->p[n] <= '9'; n++)
        value = value * 10 + (uint32_t)(text->p[n] - '0');
    *text = mailsrv__span_after(*text, n);
    return value;
}

/* seq-range = seq-number ":" seq-number
 * "5:2" is legal and means 2:5 (RFC 9051 section 9).  What has a "*" where there is no message is 0:0. */
static mailsrv_run take_range(struct span *text, uint32_t last)
{
    uint32_t a = take_seq_number(text, last);
    uint32_t b = scan_char(text, ':') ? take_seq_number(text, last) : a;
    if (a == 0 || b == 0)
        return (mailsrv_run){ 0, 0 };
    return a <= b ? (mailsrv_run){ a, b } : (mailsrv_run){ b, a };
}

/* ---- Order ---- */

/* Lets the run at `i` sink below those that begin later, in a heap of `n` runs. */
static void sink(mailsrv_run *v, uint32_t i, uint32_t n)
{
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && v[child].first < v[child + 1].first)
            child++;
        if (v[i].first >= v[child].first)
            return;
        mailsrv_run run = v[i];
        v[i] = v[child];
        v[child] = run;
    }
}

/* A heap sort: in place, and never slow, whatever a peer sends. */
static void sort(mailsrv_run *v, uint32_t n)
{
    for (uint32_t i = n / 2; i-- > 0;)
        sink(v, i, n);
    for (uint32_t left = n; left > 1; left--) {
        mailsrv_run run = v[0];
        v[0] = v[left - 1];
        v[left - 1] = run;
        sink(v, 0, left - 1);
    }
}

static void join(struct set *set)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        mailsrv_run run = set->runs[i];
        if (run.last == 0)
            continue;
        mailsrv_run *before = n == 0 ? NULL : &set->runs[n - 1];
        if (before == NULL || (run.first > before->last && run.first - before->last > 1))
            set->runs[n++] = run;
        else if (before->last < run.last)
            before->last = run.last;
    }
    set->n = n;
}

/* sequence-set = (seq-number / seq-range) ["," sequence-set] */
bool mailsrv__parse_sequence_set(struct reader *r, uint32_t star, struct set *out)
{
    struct span text = r->rest;
    uint32_t n = scan(&r->rest);
    *out = (struct set){ NULL, 0 };
    if (n == 0)
        return mailsrv__parse_fails(r, "a sequence set");
    r->too_many = n > SET_RUNS_MAX;
    if (r->too_many)
        return mailsrv__parse_fails(r, "fewer ranges");
    out->runs = mailsrv__arena_take(r->arena, n * sizeof *out->runs);
    r->no_memory = out->runs == NULL;
    if (r->no_memory)
        return false;
    for (; out->n < n; scan_char(&text, ','))
        out->runs[out->n++] = take_range(&text, star);
    sort(out->runs, out->n);
    join(out);
    return true;
}

bool mailsrv__set_has(const struct set *set, uint32_t number)
{
    uint32_t low = 0, high = set->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->runs[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n && set->runs[low].first <= number;
}
