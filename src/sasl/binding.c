#include "sasl/binding.h"

struct span mailsrv__sasl_binding(const mailsrv_session *session, struct span name)
{
    mailsrv_tls_info info = { .size = sizeof info };
    if (!mailsrv__tls_info(session, &info))
        return (struct span){ NULL, 0 };
    if (mailsrv__span_equal(name, SPAN("tls-exporter")))
        return mailsrv__span(info.exporter);
    if (mailsrv__span_equal(name, SPAN("tls-unique")))
        return mailsrv__span(info.unique);
    if (mailsrv__span_equal(name, SPAN("tls-server-end-point")))
        return mailsrv__span(info.end_point);
    return (struct span){ NULL, 0 };
}

struct span mailsrv__sasl_usual_binding(const mailsrv_session *session)
{
    enum { TLS_1_3 = 0x0304 };
    mailsrv_tls_info info = { .size = sizeof info };
    bool is_new = mailsrv__tls_info(session, &info) && info.version >= TLS_1_3;
    return is_new ? SPAN("tls-exporter") : SPAN("tls-unique");
}

bool mailsrv__sasl_can_bind(const mailsrv_session *session)
{
    return mailsrv__sasl_binding(session, mailsrv__sasl_usual_binding(session)).n != 0;
}
