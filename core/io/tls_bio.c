/* SPDX-License-Identifier: MIT */
/*
 * The bottom of a TLS link: OpenSSL's reads and writes as our recv and send. Used on the thread of
 * whoever has the link.
 */
#include "io/tls.h"

static int bio_read(BIO *bio, char *out, size_t cap, size_t *done)
{
    BIO_clear_retry_flags(bio);
    int64_t n = mqbx_stream_recv(BIO_get_data(bio), out, cap);
    if (n == LINK_AGAIN)
        BIO_set_retry_read(bio);
    *done = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static int bio_write(BIO *bio, const char *ptr, size_t len, size_t *done)
{
    BIO_clear_retry_flags(bio);
    int64_t n = mqbx_stream_send(BIO_get_data(bio), ptr, len);
    if (n == LINK_AGAIN)
        BIO_set_retry_write(bio);
    *done = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static long bio_ctrl(BIO *bio, int command, long number, void *ptr)
{
    (void)number;
    (void)ptr;
    const struct stream *s = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1; /* nothing is buffered here */
    case BIO_CTRL_EOF:
        return s->is_over && s->error == 0;
    default:
        return 0;
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *mqbx_tls_bio_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "mqttbroker stream");
    if (m && BIO_meth_set_read_ex(m, bio_read) && BIO_meth_set_write_ex(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_ctrl) && BIO_meth_set_create(m, bio_create))
        return m;
    BIO_meth_free(m);
    return NULL;
}
