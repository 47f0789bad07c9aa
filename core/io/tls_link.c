/* SPDX-License-Identifier: MIT */
/*
 * A TLS connection as a link. OpenSSL may need to write in order to read and the other way round,
 * so the readiness the socket is polled for is not the one the engine asked for: read_needs and
 * write_needs translate. Bytes may sit inside OpenSSL without the socket being readable; the engine
 * reads until LINK_AGAIN, and again after an attach and a pause.
 *
 * Belongs to one worker at a time, like every link.
 */
#include <assert.h>
#include <openssl/err.h>
#include <string.h>

#include "io/tls.h"

enum { RECORD_MAX_BYTES = 16 * 1024 };

struct tls_link {
    struct stream stream;
    SSL *ssl;
    struct tls_identity *identity; /* NULL: no client certificate */
    const char *reason;            /* static; why it failed, NULL: it has not */
    uint8_t read_needs;            /* what the socket must be for a read to go on */
    uint8_t write_needs;
    bool is_established;
    bool is_failed; /* OpenSSL may not be called any more */
};

static struct tls_link *of(struct link *l)
{
    return mqbx_container(l, struct tls_link, stream.link);
}

/* --- readiness ------------------------------------------------------------------------------ */

static uint32_t translate(const struct tls_link *t, uint32_t wanted)
{
    return ((wanted & LINK_READ) ? t->read_needs : 0u) |
           ((wanted & LINK_WRITE) ? t->write_needs : 0u);
}

static void tls_ready(struct stream *s, uint32_t socket)
{
    const struct tls_link *t = mqbx_container(s, struct tls_link, stream);
    uint32_t ready = 0;
    if ((s->wanted & LINK_READ) && (socket & t->read_needs))
        ready |= LINK_READ;
    if ((s->wanted & LINK_WRITE) && (socket & t->write_needs))
        ready |= LINK_WRITE;
    if (ready)
        mqbx_stream_report(s, ready);
}

static void arm(struct tls_link *t)
{
    mqbx_stream_need(&t->stream, translate(t, t->stream.wanted));
}

static void tls_want(struct link *l, uint32_t events)
{
    of(l)->stream.wanted = (uint8_t)events;
    arm(of(l));
}

/* --- the handshake -------------------------------------------------------------------------- */

static void log_failure(const struct tls_link *t)
{
    const struct stream *s = &t->stream;
    struct io_loop *loop = s->watch.loop;
    if (!loop)
        return;
    struct link_facts facts;
    mqbx_stream_facts(s, &facts);
    struct log_event event = {
        .level = LOG_INFO,
        .module = "tls",
        .event = "TLS handshake failed",
        .address = facts.address,
        .reason = -1,
        .detail = t->reason,
    };
    loop->log(loop->ctx, &event);
}

static const char *why(const struct tls_link *t)
{
    long verified = SSL_get_verify_result(t->ssl);
    if (!t->is_established && verified != X509_V_OK)
        return X509_verify_cert_error_string(verified);
    const char *reason = mqbx_tls_reason();
    if (reason)
        return reason;
    if (t->stream.error)
        return uv_strerror(uv_translate_sys_error(t->stream.error));
    return "the peer closed the connection";
}

static int64_t fail(struct tls_link *t, enum link_result result)
{
    if (!t->is_failed) {
        t->is_failed = true;
        t->reason = why(t);
        if (!t->is_established)
            log_failure(t);
    }
    ERR_clear_error();
    return result;
}

/* False: the identity could not be kept, or is none. */
static bool establish(struct tls_link *t)
{
    if (t->is_established || !SSL_is_init_finished(t->ssl))
        return true;
    if (!mqbx_tls_identity_new(t->stream.origin->alloc, t->ssl, &t->identity))
        return false;
    t->is_established = true;
    return true;
}

/* --- reading -------------------------------------------------------------------------------- */

static int64_t read_again(struct tls_link *t, uint32_t needs)
{
    if (!establish(t))
        return fail(t, LINK_ERROR);
    t->read_needs = (uint8_t)needs;
    arm(t);
    return LINK_AGAIN;
}

static int64_t tls_read(struct link *l, uint8_t *out, size_t cap)
{
    struct tls_link *t = of(l);
    size_t n = 0;
    if (t->is_failed)
        return LINK_ERROR;
    ERR_clear_error();
    int ok = SSL_read_ex(t->ssl, out, cap, &n);
    if (ok == 1) {
        t->read_needs = LINK_READ;
        l->is_drained = t->stream.is_drained && !SSL_has_pending(t->ssl);
        return establish(t) ? (int64_t)n : fail(t, LINK_ERROR);
    }
    switch (SSL_get_error(t->ssl, ok)) {
    case SSL_ERROR_WANT_READ:
        return read_again(t, LINK_READ);
    case SSL_ERROR_WANT_WRITE:
        return read_again(t, LINK_WRITE);
    case SSL_ERROR_ZERO_RETURN:
        return t->is_established ? LINK_EOF : fail(t, LINK_EOF);
    default:
        return fail(t, LINK_ERROR);
    }
}

/* --- writing -------------------------------------------------------------------------------- */

/* How far a write has come in its parts. */
struct cursor {
    const struct bytes *parts;
    uint32_t count;
    uint32_t offset; /* within parts[0] */
};

static void skip(struct cursor *c, size_t n)
{
    while (c->count > 0 && n >= c->parts->len - c->offset) {
        n -= c->parts->len - c->offset;
        c->parts++;
        c->count--;
        c->offset = 0;
    }
    c->offset += (uint32_t)n;
}

/* The next bytes, as many as fit into one record; lent where they stand when one part has enough.
 */
static struct bytes next_record(const struct cursor *c, uint8_t space[RECORD_MAX_BYTES])
{
    uint32_t len = 0;
    uint32_t offset = c->offset;
    if (c->count == 1 || (c->count > 0 && c->parts->len - offset >= RECORD_MAX_BYTES)) {
        len = c->parts->len - offset;
        return mqbx_bytes(c->parts->ptr + offset, len < RECORD_MAX_BYTES ? len : RECORD_MAX_BYTES);
    }
    for (uint32_t i = 0; i < c->count && len < RECORD_MAX_BYTES; i++) {
        uint32_t n = c->parts[i].len - offset;
        if (n > RECORD_MAX_BYTES - len)
            n = RECORD_MAX_BYTES - len;
        if (n > 0)
            memcpy(space + len, c->parts[i].ptr + offset, n);
        len += n;
        offset = 0;
    }
    return mqbx_bytes(space, len);
}

/* Bytes taken, 0 when the socket is full, LINK_ERROR. A record that OpenSSL has begun is finished
 * by the next call, which the engine makes with the same bytes in front. */
static int64_t write_record(struct tls_link *t, struct bytes record)
{
    size_t n = 0;
    ERR_clear_error();
    int ok = SSL_write_ex(t->ssl, record.ptr, record.len, &n);
    t->write_needs = LINK_WRITE;
    if (ok == 1)
        return (int64_t)n;
    switch (SSL_get_error(t->ssl, ok)) {
    case SSL_ERROR_WANT_READ:
        t->write_needs = LINK_READ;
        return 0;
    case SSL_ERROR_WANT_WRITE:
        return 0;
    default:
        return fail(t, LINK_ERROR);
    }
}

static int64_t tls_write(struct link *l, const struct bytes *parts, uint32_t count)
{
    struct tls_link *t = of(l);
    struct cursor at = {.parts = parts, .count = count};
    uint8_t space[RECORD_MAX_BYTES];
    int64_t taken = 0;
    if (t->is_failed)
        return LINK_ERROR;
    for (;;) {
        struct bytes record = next_record(&at, space);
        int64_t n = record.len > 0 ? write_record(t, record) : 0;
        if (n == LINK_ERROR)
            return LINK_ERROR;
        if (n == 0) {
            arm(t);
            return taken;
        }
        taken += n;
        skip(&at, (size_t)n);
    }
}

/* --- the rest ------------------------------------------------------------------------------- */

static void tls_close(struct link *l)
{
    struct tls_link *t = of(l);
    if (t->is_established && !t->is_failed && !t->stream.is_over) {
        ERR_clear_error();
        SSL_shutdown(
            t->ssl); /* our close_notify, if the socket takes it; the peer's is not waited for */
        ERR_clear_error();
    }
    SSL_free(t->ssl);
    mqbx_tls_identity_free(t->identity);
    mqbx_stream_drain(&t->stream);
    mqbx_stream_free(&t->stream);
}

static void tls_hurry(struct link *l)
{
    mqbx_stream_hurry(mqbx_container(l, struct stream, link));
}

static void tls_facts(const struct link *l, struct link_facts *out)
{
    const struct tls_link *t = mqbx_container(l, const struct tls_link, stream.link);
    mqbx_stream_facts(&t->stream, out);
    out->is_tls = true;
    if (t->reason)
        out->error_text = t->reason;
    const char *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    if (sni)
        out->sni = mqbx_bytes_of(sni);
    if (t->identity) {
        const struct tls_identity *id = t->identity;
        out->cert_common_name = mqbx_bytes(id->data, id->common_name_len);
        out->cert_subject = mqbx_bytes(id->data + id->common_name_len, id->subject_len);
    }
}

static const struct stream_ops tls_ops = {
    .link =
        {
            .read = tls_read,
            .write = tls_write,
            .want = tls_want,
            .close = tls_close,
            .detach = mqbx_stream_detach,
            .attach = mqbx_stream_attach,
            .facts = tls_facts,
            .hurry = tls_hurry,
        },
    .ready = tls_ready,
};

/* Set on the connection, not on the context, which may be the host's. */
static void configure(SSL *ssl)
{
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS);
    SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_set_read_ahead(ssl, 1); /* header and body of a record in one recv */
    SSL_set_accept_state(ssl);
}

static bool open_ssl(struct tls_link *t, const struct tls_context *context)
{
    t->ssl = SSL_new(context->ssl);
    BIO *bio = t->ssl ? BIO_new(context->bio) : NULL;
    if (!bio) {
        SSL_free(t->ssl);
        ERR_clear_error();
        return false;
    }
    BIO_set_data(bio, &t->stream);
    SSL_set_bio(t->ssl, bio, bio);
    configure(t->ssl);
    return true;
}

struct link *mqbx_tls_link_new(const struct alloc *a, int fd, struct origin *origin,
                               const struct address *peer)
{
    struct stream *s = mqbx_stream_new(a, sizeof(struct tls_link), fd, origin, peer, &tls_ops);
    if (!s)
        return NULL;
    struct tls_link *t = mqbx_container(s, struct tls_link, stream);
    t->read_needs = LINK_READ;
    t->write_needs = LINK_WRITE;
    if (!open_ssl(t, origin->tls)) {
        mqbx_stream_disown(s);
        return NULL;
    }
    return &s->link;
}
