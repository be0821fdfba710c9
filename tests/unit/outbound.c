#include "outbound.h"

#include "text/queue_record.h"

static bool begins(mailsrv_bytes text, const char *with)
{
    return text.n >= strlen(with) && memcmp(text.p, with, strlen(with)) == 0;
}

static void copy(char to[TEXT_MAX], mailsrv_bytes from)
{
    snprintf(to, TEXT_MAX, "%.*s", (int)from.n, (const char *)from.p);
}

/* ---- The servers ---- */

static int32_t on_message(void *user, const mailsrv_envelope *envelope, mailsrv_bytes message)
{
    struct outbound *w = user;
    (void)message;
    w->n_mails++;
    for (uint32_t i = 0; i < envelope->n_recipients; i++) {
        struct received *r = &w->received[w->n_received++];
        assert_true(w->n_received < RECEIVED_MAX);
        copy(r->recipient, envelope->recipients[i]);
        r->at_us = w->unix_us;
        r->session = envelope->session_id;
    }
    return MAILSRV_OK;
}

static bool is_bad(const struct outbound *w, const struct wire *wire)
{
    return w->good_from == 0 || wire->address < w->good_from;
}

static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    static int64_t grey_since;
    struct outbound *w = user;
    const mailsrv_arg_resolve *arg = op->arg;
    mailsrv_destination here = { .kind = MAILSRV_TARGET_MAILBOX };
    const mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof here, .destinations = &here };
    mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = &value };
    memcpy(here.account.b, arg->local_part.p, arg->local_part.n < 16 ? arg->local_part.n : 16);
    if (begins(arg->local_part, "grey") && (grey_since == 0 || grey_since > w->unix_us))
        grey_since = w->unix_us;
    if (begins(arg->local_part, "bad"))
        a.status = MAILSRV_NONEXISTENT;
    else if (begins(arg->local_part, "later") || (w->puts_off && is_bad(w, op->host)) ||
             (begins(arg->local_part, "grey") && w->unix_us < grey_since + 10 * MINUTE))
        a.status = MAILSRV_TEMP;
    else if (begins(arg->local_part, "next") && w->has_taken)
        a.status = MAILSRV_LIMIT;
    w->has_taken = w->has_taken || a.status == MAILSRV_OK;
    if (a.status != MAILSRV_OK)
        a.value = NULL;
    assert_int_equal(mailsrv_op_answer(engine, op->id, &a), MAILSRV_OK);
}

static mailsrv_profile *new_server_profile(const struct outbound *w, uint64_t octets_max)
{
    mailsrv_profile *profile;
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp_receive(), MAILSRV_FACE_MX, &profile), MAILSRV_OK);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.remote.test", 14);
    const bool offers = w->tls != TLS_NONE && !w->no_offer;
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_TLS, offers ? MAILSRV_TLS_OFFERED : MAILSRV_TLS_NONE);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, octets_max);
    assert_int_equal(mailsrv_profile_seal(profile, NULL), MAILSRV_OK);
    return profile;
}

static void begin_servers(struct outbound *w)
{
    assert_int_equal(mailsrv_engine_new(NULL, &w->servers), MAILSRV_OK);
    assert_int_equal(mailsrv_inbox(w->servers, 1 << 26, on_message, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w->servers, MAILSRV_OP_RESOLVE, resolve, w), MAILSRV_OK);
    w->server_profile = new_server_profile(w, 1 << 26);
    w->lesser_profile = new_server_profile(w, 1 << 16);
}

/* ---- What the queue needs of the world ---- */

/* Exchangers of all domains are m1, m2, ..., whose addresses are 10.0.0.1, 10.0.0.2, ... */
static uint32_t records_of(const struct outbound *w, const mailsrv_arg_dns *arg, uint32_t rcode,
                           mailsrv_dns_record records[ADDRESSES_MAX])
{
    static const uint8_t null_mx[] = { 0, 0, 0 };
    static const uint8_t exchangers[][6] = {
        { 0, 10, 2, 'm', '1', 0 }, { 0, 20, 2, 'm', '2', 0 }, { 0, 30, 2, 'm', '3', 0 }, { 0, 40, 2, 'm', '4', 0 }
    };
    static const uint8_t addresses[][4] = { { 10, 0, 0, 1 }, { 10, 0, 0, 2 }, { 10, 0, 0, 3 }, { 10, 0, 0, 4 } };
    static const uint8_t tlsa[3 + 32] = { 3, 1, 1 };
    const bool is_mx = arg->type == MAILSRV_DNS_MX, is_tlsa = arg->type == MAILSRV_DNS_TLSA;
    uint32_t n = is_mx ? w->addresses : is_tlsa ? w->has_records : arg->type == MAILSRV_DNS_A, first = 0;
    if (rcode == DNS_NULL_MX)
        n = is_mx;
    else if (rcode != 0)
        n = 0;
    if (!is_mx && arg->name.n == 2 && arg->name.p[0] == 'm')
        first = (uint32_t)(arg->name.p[1] - '1');
    for (uint32_t i = 0; i < n; i++) {
        records[i] = (mailsrv_dns_record){ .size = sizeof *records, .type = arg->type, .name = arg->name };
        records[i].ttl_s = w->ttl_s == 0 ? 3600 : w->ttl_s;
        records[i].data = is_mx ? (mailsrv_bytes){ exchangers[i], sizeof exchangers[i] } : (mailsrv_bytes){ addresses[first], 4 };
        if (is_tlsa)
            records[i].data = (mailsrv_bytes){ tlsa, sizeof tlsa };
        if (rcode == DNS_NULL_MX)
            records[i].data = (mailsrv_bytes){ null_mx, 3 };
    }
    return n;
}

static void serve_dns(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct outbound *w = user;
    const mailsrv_arg_dns *arg = op->arg;
    char name[TEXT_MAX];
    uint8_t message[512];
    mailsrv_dns_record records[ADDRESSES_MAX];
    size_t n = 0;
    copy(name, arg->name);
    w->n_questions++;
    uint32_t rcode = w->dns == NULL ? 0 : w->dns(w, name);
    if (rcode == DNS_SILENT) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP);
        return;
    }
    uint32_t n_records = records_of(w, arg, rcode, records);
    assert_int_equal(mailsrv_dns_write(arg->name, arg->type, rcode == DNS_NULL_MX ? 0 : rcode, records, n_records, message,
                                       sizeof message, &n),
                     MAILSRV_OK);
    if (w->is_signed)
        message[3] |= 0x20; /* AD (RFC 4035 section 3.2.3) */
    const mailsrv_dns_reply reply = { .size = sizeof reply, .trusted = w->is_signed, .message = { message, n } };
    const mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = &reply };
    assert_int_equal(mailsrv_op_answer(engine, op->id, &a), MAILSRV_OK);
}

static void serve_connect(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct outbound *w = user;
    const mailsrv_arg_connect *arg = op->arg;
    mailsrv_peer peer = { .size = sizeof peer, .address_octets = 4, .port = 25 };
    char lane[TEXT_MAX];
    copy(lane, arg->lane);
    w->n_connects++;
    w->connects_to[arg->address[3]]++;
    bool is_dead = w->dead_from != 0 && arg->address[3] >= w->dead_from;
    if (is_dead || (w->is_down != NULL && w->is_down(w, lane))) {
        const mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_TEMP, .text = bytes_of("4.4.1 connection refused") };
        assert_int_equal(mailsrv_op_answer(engine, op->id, &a), MAILSRV_OK);
        return;
    }
    struct wire *wire = calloc(1, sizeof *wire);
    int32_t status = mailsrv_client_new(engine, op->id, &peer, wire, &wire->client);
    if (status != MAILSRV_OK) {
        free(wire);
        return;
    }
    memcpy(wire->lane, lane, sizeof lane);
    wire->address = arg->address[3];
    mailsrv_profile *profile = wire->address == w->lesser_at ? w->lesser_profile : w->server_profile;
    assert_int_equal(mailsrv_server_new(w->servers, profile, &peer, wire, &wire->server), MAILSRV_OK);
    w->has_taken = false;
    wire->next = w->wires;
    w->wires = wire;
    if (++w->n_wires > w->wires_peak)
        w->wires_peak = w->n_wires;
}

static void serve_retry(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct outbound *w = user;
    mailsrv_retry value = { .size = sizeof value };
    int32_t status = w->retry == NULL ? MAILSRV_TEMP : w->retry(w, op->arg, &value);
    const mailsrv_answer a = { .size = sizeof a, .status = status, .value = status == MAILSRV_OK ? &value : NULL };
    assert_int_equal(mailsrv_op_answer(engine, op->id, &a), MAILSRV_OK);
}

static void serve_route(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct outbound *w = user;
    mailsrv_route value = { .size = sizeof value, .kind = MAILSRV_ROUTE_MX };
    int32_t status = w->route == NULL ? MAILSRV_OK : w->route(w, op->arg, &value);
    const mailsrv_answer a = { .size = sizeof a, .status = status, .value = status == MAILSRV_OK ? &value : NULL };
    w->n_routes++;
    assert_int_equal(mailsrv_op_answer(engine, op->id, &a), MAILSRV_OK);
}

/* What is asked of the store is counted on its way there. */
static void serve_store(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct outbound *w = user;
    w->n_updates += op->kind == MAILSRV_OP_QUEUE_UPDATE;
    w->n_scans += op->kind == MAILSRV_OP_QUEUE_SCAN;
    if ((w->fail_nth != 0 && --w->fail_nth == 0) || w->store_is_down) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP);
        return;
    }
    mailsrv_memory_handle(w->store, engine, op);
}

static void serve_mail(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct outbound *w = user;
    if (w->store_is_down)
        mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP);
    else
        mailsrv_memory_handle(w->store, engine, op);
}

static const struct {
    int32_t kind;
    void (*serve)(void *user, mailsrv_engine *engine, const mailsrv_op *op);
} kinds[] = {
    { MAILSRV_OP_QUEUE_SCAN, serve_store },  { MAILSRV_OP_QUEUE_UPDATE, serve_store },
    { MAILSRV_OP_QUEUE_DELETE, serve_store }, { MAILSRV_OP_READ, serve_store },
    { MAILSRV_OP_RESOLVE, serve_mail },      { MAILSRV_OP_BODY_BEGIN, serve_mail },
    { MAILSRV_OP_BODY_WRITE, serve_mail },   { MAILSRV_OP_BODY_COMMIT, serve_mail },
    { MAILSRV_OP_DNS, serve_dns },           { MAILSRV_OP_CONNECT, serve_connect },
    { MAILSRV_OP_RETRY, serve_retry },       { MAILSRV_OP_ROUTE, serve_route },
};

static void answer(struct outbound *w, mailsrv_engine *engine, const mailsrv_op *op)
{
    size_t i = 0;
    while (i < sizeof kinds / sizeof kinds[0] && kinds[i].kind != op->kind)
        i++;
    if (i < sizeof kinds / sizeof kinds[0])
        kinds[i].serve(w, engine, op); /* which may be its end */
}

static void serve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct outbound *w = user;
    if (op->kind == w->keeps && w->n_kept < KEPT_MAX)
        w->kept[w->n_kept++] = op;
    else
        answer(w, engine, op);
}

void out_answer(struct outbound *w, int32_t status)
{
    while (w->n_kept != 0) {
        const mailsrv_op *op = w->kept[--w->n_kept];
        if (status == MAILSRV_OK)
            answer(w, w->engine, op);
        else
            mailsrv_op_answer_status(w->engine, op->id, status);
    }
}

void out_let_go(struct outbound *w)
{
    w->keeps = 0;
    out_answer(w, MAILSRV_OK);
}

/* ---- Beginning and end ---- */

static void begin_engine(struct outbound *w)
{
    mailsrv_config *config;
    assert_int_equal(mailsrv_config_new(&w->from.allocator, &config), MAILSRV_OK);
    if (w->memory_max_mib != 0)
        mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, (uint64_t)w->memory_max_mib << 20);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if ((kinds[i].kind != MAILSRV_OP_RETRY || !w->no_retry) && (kinds[i].kind != MAILSRV_OP_ROUTE || !w->no_route))
            assert_int_equal(mailsrv_engine_serve(w->engine, kinds[i].kind, serve, w), MAILSRV_OK);
}

static void advance(struct outbound *w, int64_t us)
{
    w->now_us += us;
    w->unix_us += us;
    assert_int_equal(mailsrv_engine_advance(w->servers, w->now_us, w->unix_us), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, w->now_us, w->unix_us), MAILSRV_OK);
}

void out_begin(struct outbound *w)
{
    w->now_us = HOUR;
    w->unix_us = INT64_C(1800000000) * SECOND;
    w->received = calloc(RECEIVED_MAX, sizeof *w->received);
    counted_init(&w->from);
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "", 0, &w->pat), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_address(w->store, "pat@here.test", 13, &w->pat, 1), MAILSRV_OK);
    mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_LATE, w->late != 0);
    mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_SHUFFLE, w->late);
    begin_servers(w);
    begin_engine(w);
    assert_int_equal(mailsrv_profile_new(&w->from.allocator, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT, &w->profile),
                     MAILSRV_OK);
    mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_TLS, w->tls == TLS_NONE ? MAILSRV_TLS_NONE : MAILSRV_TLS_OFFERED);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    advance(w, 0);
}

void out_open(struct outbound *w)
{
    w->setup.size = sizeof w->setup;
    w->setup.profile = w->profile;
    w->setup.seed = w->setup.seed == 0 ? 7 : w->setup.seed;
    assert_int_equal(mailsrv_queue_open(w->engine, &w->setup, &w->queue), MAILSRV_OK);
}

static void closed(void *user)
{
    *(bool *)user = true;
}

void out_close(struct outbound *w)
{
    bool is_closed = false;
    mailsrv_queue_close(w->queue, closed, &is_closed);
    for (int i = 0; i < 100 && !is_closed; i++)
        out_wait(w, MINUTE);
    assert_true(is_closed);
    w->queue = NULL;
}

static void cut_all(struct outbound *w)
{
    while (w->wires != NULL) {
        struct wire *wire = w->wires;
        w->wires = wire->next;
        mailsrv_session_free(wire->client);
        mailsrv_session_free(wire->server);
        free(wire);
    }
}

static void free_engine(struct outbound *w, mailsrv_engine *e)
{
    for (int i = 0; i < 1000 && mailsrv_engine_free(e, 0) == MAILSRV_E_BUSY; i++) {
        mailsrv_engine_turn(e, 1000);
        mailsrv_memory_answer(w->store, 1);
        out_answer(w, MAILSRV_OK);
        cut_all(w);
    }
}

void out_end(struct outbound *w)
{
    cut_all(w);
    free_engine(w, w->engine);
    free_engine(w, w->servers);
    mailsrv_profile_unref(w->profile);
    mailsrv_profile_unref(w->server_profile);
    mailsrv_profile_unref(w->lesser_profile);
    mailsrv_store_free(w->store);
    free(w->received);
    assert_null(w->from.fault);
    assert_int_equal(w->from.live, 0);
}

int out_teardown(void **state)
{
    out_end(*state);
    return 0;
}

/* ---- What passes between the sessions ---- */

/* Octets of one side to the other; did anything move? */
static bool carry(mailsrv_session *from, mailsrv_session *to, size_t *octets)
{
    mailsrv_out v[1];
    size_t count = 0, taken = 0;
    if (from == NULL || mailsrv_session_output(from, v, 1, &count) != MAILSRV_OK || count == 0)
        return false;
    if (to == NULL) {
        mailsrv_session_sent(from, v[0].n);
        return true;
    }
    if ((mailsrv_session_wants(to) & MAILSRV_WANT_READ) == 0)
        return false;
    mailsrv_session_feed(to, v[0].p, v[0].n, &taken);
    mailsrv_session_sent(from, taken);
    *octets += taken;
    return taken != 0;
}

static void hang_up(struct outbound *w, struct wire *wire)
{
    if (w->hang_up_octets == 0 || wire->octets < w->hang_up_octets || wire->server == NULL || !is_bad(w, wire))
        return;
    mailsrv_session_free(wire->server);
    wire->server = NULL;
    if (wire->client != NULL)
        mailsrv_session_feed_eof(wire->client);
}

/* A side that has ended: the other one learns of it when it has read everything. */
static bool ends(mailsrv_session **one, mailsrv_session *other)
{
    if (*one == NULL || (mailsrv_session_wants(*one) & MAILSRV_WANT_CLOSE) == 0)
        return false;
    mailsrv_session_free(*one);
    *one = NULL;
    if (other != NULL)
        mailsrv_session_feed_eof(other);
    return true;
}

/* What follows is in the clear again, which neither side can tell. */
static bool secure(struct outbound *w, struct wire *wire)
{
    const mailsrv_tls_info info = { .size = sizeof info, .version = 0x0304, .verified = w->verified };
    mailsrv_tls_target target = { .size = sizeof target };
    if (wire->client == NULL || (mailsrv_session_wants(wire->client) & MAILSRV_WANT_TLS_CLIENT) == 0)
        return false;
    w->n_handshakes++;
    assert_int_equal(mailsrv_session_tls_target(wire->client, &target), MAILSRV_OK);
    w->wanted = target.verify;
    w->n_wanted = target.n_tlsa;
    copy(w->wanted_name, target.name);
    if (w->tls == TLS_FAILS) {
        mailsrv_session_tls_failed(wire->client, "no", 2);
        return true;
    }
    mailsrv_session_tls_started(wire->client, &info);
    mailsrv_session_tls_started(wire->server, &info);
    return true;
}

static bool move(struct outbound *w)
{
    bool moved = false;
    for (struct wire **at = &w->wires; *at != NULL;) {
        struct wire *wire = *at;
        size_t ours = 0;
        if (wire->address == w->stuck_at || (w->is_stuck != NULL && w->is_stuck(w, wire->lane))) {
            moved |= ends(&wire->client, wire->server);
            at = &wire->next;
            continue;
        }
        moved |= carry(wire->client, wire->server, &wire->octets);
        moved |= carry(wire->server, wire->client, &ours);
        moved |= secure(w, wire);
        hang_up(w, wire);
        moved |= ends(&wire->client, wire->server);
        moved |= ends(&wire->server, wire->client);
        if (wire->client != NULL || wire->server != NULL) {
            at = &wire->next;
            continue;
        }
        *at = wire->next;
        w->n_wires--;
        free(wire);
    }
    return moved;
}

static bool turn(mailsrv_engine *e)
{
    bool worked = false;
    for (int i = 0; i < 100000 && mailsrv_engine_turn(e, 1000) == MAILSRV_MORE; i++)
        worked = true;
    return worked;
}

void out_run(struct outbound *w)
{
    for (int i = 0; i < 1000000; i++) {
        bool moved = turn(w->engine);
        moved |= turn(w->servers);
        moved |= move(w);
        moved = moved || mailsrv_memory_answer(w->store, 1) != 0;
        if (!moved && mailsrv_engine_turn(w->engine, 1000) == MAILSRV_OK &&
            mailsrv_engine_turn(w->servers, 1000) == MAILSRV_OK && !move(w))
            return;
    }
    fail_msg("it never comes to rest");
}

void out_step(struct outbound *w)
{
    mailsrv_engine_turn(w->engine, 1);
    turn(w->servers);
    move(w);
}

static int64_t next(const struct outbound *w)
{
    int64_t a = mailsrv_engine_next_deadline(w->engine), b = mailsrv_engine_next_deadline(w->servers);
    return a < b ? a : b;
}

void out_wait(struct outbound *w, int64_t us)
{
    int64_t until = w->now_us + us;
    out_run(w);
    advance(w, 0);
    out_run(w);
    while (w->now_us < until) {
        int64_t at = next(w);
        advance(w, at < until ? (at > w->now_us ? at - w->now_us : 1) : until - w->now_us);
        out_run(w);
    }
}

bool out_everybody(struct outbound *w, const char *lane)
{
    (void)w;
    (void)lane;
    return true;
}

/* ---- Mail ---- */

static const char *sender(const struct outbound *w)
{
    return w->sender == NULL ? "pat@here.test" : w->sender;
}

static void turn_to_end(struct outbound *w)
{
    do
        turn(w->engine);
    while (mailsrv_memory_answer(w->store, 1) != 0);
}

static void sent(void *user, int32_t status)
{
    *(int32_t *)user = status;
}

void out_send(struct outbound *w, const char *recipients)
{
    const char *message = w->message != NULL ? w->message : "Subject: one\r\n\r\nhello\r\n.\r\n";
    mailsrv_queue_recipient list[64];
    mailsrv_queue_mail mail = { .size = sizeof mail, .reverse_path = bytes_of(sender(w)), .recipients = list,
                                .message = bytes_of(message) };
    for (const char *at = recipients; *at != '\0'; at += *at == ' ') {
        size_t n = strcspn(at, " ");
        list[mail.n_recipients++] =
            (mailsrv_queue_recipient){ .size = sizeof *list, .address = { (const uint8_t *)at, n } };
        at += n;
    }
    int32_t status = -1;
    assert_int_equal(mailsrv_queue_send(w->queue, &mail, sent, &status), MAILSRV_OK);
    for (int i = 0; i < 100 && status == -1; i++)
        turn_to_end(w);
    assert_int_equal(status, MAILSRV_OK);
}

static void ask(struct outbound *w, int32_t kind, const void *arg, mailsrv_asked **out)
{
    assert_int_equal(mailsrv_ask(w->engine, kind, NULL, arg, out), MAILSRV_OK);
    turn_to_end(w);
    assert_int_equal(mailsrv_asked_answer(*out)->status, MAILSRV_OK);
}

static void fill(struct outbound *w, mailsrv_target *target, char *record, const char *recipient)
{
    struct queue_record r = { .fate = QUEUE_RETRY, .arrived_us = w->unix_us, .reverse_path = { sender(w), strlen(sender(w)) },
                              .recipient = { recipient, strlen(recipient) } };
    struct writer out = { .p = record, .room = 256 };
    mailsrv__queue_record_write(&out, &r);
    *target = (mailsrv_target){ .size = sizeof *target, .kind = MAILSRV_TARGET_QUEUE, .due_us = w->unix_us,
                                .lane = bytes_of(strchr(recipient, '@') + 1),
                                .record = { (const uint8_t *)record, out.n } };
}

enum { COMMIT_MAX = 100 };

static void commit(struct outbound *w, char (*recipients)[TEXT_MAX], uint32_t n)
{
    static char records[COMMIT_MAX][256];
    mailsrv_target targets[COMMIT_MAX];
    mailsrv_asked *body, *write, *asked;
    mailsrv_arg_body_begin begin = { .size = sizeof begin };
    ask(w, MAILSRV_OP_BODY_BEGIN, &begin, &body);
    uint64_t handle = ((const mailsrv_body_begun *)mailsrv_asked_answer(body)->value)->body;
    mailsrv_arg_body_write octets = { .size = sizeof octets, .body = handle, .octets = bytes_of("a: b\r\n\r\nhello\r\n") };
    ask(w, MAILSRV_OP_BODY_WRITE, &octets, &write);
    const mailsrv_staged staged = { .size = sizeof staged, .body = handle, .octets = octets.octets.n };
    for (uint32_t i = 0; i < n; i++)
        fill(w, &targets[i], records[i], recipients[i]);
    mailsrv_arg_body_commit arg = { .size = sizeof arg, .n_bodies = 1, .body_stride = sizeof staged, .n_targets = n,
                                    .target_stride = sizeof *targets, .bodies = &staged, .targets = targets };
    ask(w, MAILSRV_OP_BODY_COMMIT, &arg, &asked);
    mailsrv_asked_free(asked);
    mailsrv_asked_free(write);
    mailsrv_asked_free(body);
}

void out_commit(struct outbound *w, const char *domain, uint32_t n)
{
    char recipients[COMMIT_MAX][TEXT_MAX];
    for (uint32_t done = 0; done < n; done += COMMIT_MAX) {
        uint32_t now = n - done < COMMIT_MAX ? n - done : COMMIT_MAX;
        for (uint32_t i = 0; i < now; i++)
            snprintf(recipients[i], TEXT_MAX, "user%u@%s", done + i, domain);
        commit(w, recipients, now);
    }
}

void out_commit_to(struct outbound *w, const char *recipient)
{
    char one[1][TEXT_MAX];
    snprintf(one[0], TEXT_MAX, "%s", recipient);
    commit(w, one, 1);
}

/* ---- What came of it ---- */

uint32_t out_delivered(const struct outbound *w, const char *recipient)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n_received; i++)
        n += recipient == NULL || strcmp(w->received[i].recipient, recipient) == 0;
    return n;
}

uint64_t out_notices(const struct outbound *w)
{
    return mailsrv_memory_count(w->store, &w->pat);
}

bool out_notice_says(const struct outbound *w, const char *text)
{
    char all[8192];
    size_t n = 0;
    mailsrv_bytes piece;
    while (mailsrv_memory_message(w->store, &w->pat, out_notices(w) - 1, n, &piece) == MAILSRV_OK && piece.n != 0) {
        assert_true(n + piece.n < sizeof all);
        memcpy(all + n, piece.p, piece.n);
        n += piece.n;
    }
    all[n] = '\0';
    return strstr(all, text) != NULL;
}

uint64_t out_queued(const struct outbound *w)
{
    return mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_QUEUED);
}

uint64_t out_stat(const struct outbound *w, int32_t key)
{
    return mailsrv_queue_stat(w->queue, key);
}

bool out_item(const struct outbound *w, const char *recipient, mailsrv_queued_mail *out)
{
    mailsrv_queue_item item;
    for (uint64_t i = 0; mailsrv_memory_queue_item(w->store, i, &item) == MAILSRV_OK; i++) {
        out->size = sizeof *out;
        if (mailsrv_queued_read(&item, out) == MAILSRV_OK && out->recipient.n == strlen(recipient) &&
            memcmp(out->recipient.p, recipient, out->recipient.n) == 0)
            return true;
    }
    return false;
}

struct controlled {
    int32_t status;
    uint64_t n;
    bool done;
};

static void controlled(void *user, int32_t status, uint64_t n)
{
    *(struct controlled *)user = (struct controlled){ status, n, true };
}

int32_t out_control(struct outbound *w, const mailsrv_queue_match *match, int32_t action, const char *route, uint64_t *n)
{
    struct controlled c = { .status = -1 };
    int32_t status = mailsrv_queue_control(w->queue, match, action, bytes_of(route), controlled, &c);
    if (status != MAILSRV_OK)
        return status;
    for (int i = 0; i < 100 && !c.done; i++)
        out_wait(w, SECOND);
    assert_true(c.done);
    *n = c.n;
    return c.status;
}
