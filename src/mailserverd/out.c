#include "out.h"
#include "log.h"
#include "own.h"
#include "routes.h"

/* The engine says of each that it has ended. */
static int32_t on_begin(void *user, mailsrv_uv_connection *connection)
{
    mailsrv_peer peer = { .size = sizeof peer };
    (void)user;
    mailsrv_uv_connection_peer(connection, &peer);
    log_peer(guests_session(connection), "out", "to", &peer);
    return MAILSRV_OK;
}

/* Without c-ares mail goes by routes to addresses alone. */
static int32_t go_out(mailsrv_uv *driver, const struct outgoing *o)
{
    mailsrv_uv_out_setup setup = { .size = sizeof setup,
                                   .flags = o->dnssec ? MAILSRV_UV_OUT_DNS_TRUSTED : 0,
                                   .dns_servers = o->dns_servers[0] != '\0' ? o->dns_servers : NULL,
                                   .source_v4 = o->source_v4[0] != '\0' ? o->source_v4 : NULL,
                                   .source_v6 = o->source_v6[0] != '\0' ? o->source_v6 : NULL,
                                   .on_begin = on_begin };
    const int32_t status = mailsrv_uv_go_out(driver, &setup);
    if (status != MAILSRV_CANNOT)
        return status;
    log_line("this program was built without c-ares: nobody is asked for mail exchangers");
    setup.flags |= MAILSRV_UV_OUT_NO_DNS;
    return mailsrv_uv_go_out(driver, &setup);
}

static uint32_t delay_of(const struct outgoing *o)
{
    return o->delay_notice_is_off ? UINT32_MAX : (uint32_t)o->delay_notice_s;
}

uint32_t out_flags(const struct config *config)
{
    return (config_routes_by_sender(config) ? MAILSRV_QUEUE_ROUTES_BY_SENDER : 0) |
           (config->outgoing.no_downgrade ? MAILSRV_QUEUE_NO_DOWNGRADE : 0);
}

int32_t out_begin(struct directory *directory, mailsrv_uv *driver, mailsrv_engine *engine, const struct plan *plan,
                  mailsrv_queue **queue)
{
    const struct outgoing *o = &plan->config->outgoing;
    struct own own;
    own_find(&own, plan->config);
    const mailsrv_queue_setup setup = { .size = sizeof setup,
                                        .flags = out_flags(plan->config),
                                        .profile = plan->client,
                                        .first_retry_s = (uint32_t)o->first_retry_s,
                                        .retry_max_s = (uint32_t)o->retry_max_s,
                                        .expire_s = (uint32_t)o->expire_s,
                                        .delay_notice_s = delay_of(o),
                                        .connections_max = (uint32_t)o->connections_max,
                                        .connections_per_site = (uint32_t)o->connections_per_site,
                                        .notice_octets_max = (uint32_t)o->notice_octets_max,
                                        .own = own.addresses,
                                        .n_own = own.n };
    int32_t status = go_out(driver, o);
    if (status == MAILSRV_OK)
        status = routes_serve(directory, engine);
    if (status == MAILSRV_OK)
        status = mailsrv_queue_open(engine, &setup, queue);
    return status;
}
