/* SPDX-License-Identifier: MIT */
/*
 * TLS by OpenSSL, server side: what a listener needs for it, and the link that speaks it. The BIO
 * is our own, over send with MSG_NOSIGNAL: OpenSSL's raises SIGPIPE, which would kill a host that
 * drives the loop itself.
 */
#ifndef MQBX_IO_TLS_H
#define MQBX_IO_TLS_H

#include <openssl/ssl.h>

#include "io/error.h"
#include "io/listener.h"
#include "io/stream.h"

/* Immutable; belongs to one origin. Any thread. */
struct tls_context {
    const struct alloc *alloc;
    SSL_CTX *ssl;    /* one reference */
    BIO_METHOD *bio; /* here, because a static one would be a writable global */
};

/* Certificate chain, key (which must belong to it), CA, versions and ciphers, or the host's own
 * SSL_CTX. `name` is that of the listener, for the sentence. MQB_ETLS, MQB_EINVAL, MQB_ENOMEM. */
mqb_err mqbx_tls_context_new(const struct alloc *a, const struct listener_options *o,
                             const char *name, struct tls_context **out, struct io_error *e);
void mqbx_tls_context_free(struct tls_context *t);

/* As mqbx_link_new. The handshake happens inside its read. */
struct link *mqbx_tls_link_new(const struct alloc *a, int fd, struct origin *origin,
                               const struct address *peer);

/* OpenSSL's own words for the oldest error of this thread, which are static, or NULL. */
const char *mqbx_tls_reason(void);

/* Common name and subject of a verified client certificate, copied out of the handshake. */
struct tls_identity {
    const struct alloc *alloc;
    size_t size;
    uint32_t common_name_len, subject_len;
    uint8_t data[]; /* common name, subject */
};
/* *out is NULL when the client showed none. False: out of memory, or a name with a NUL byte. */
bool mqbx_tls_identity_new(const struct alloc *a, SSL *ssl, struct tls_identity **out);
void mqbx_tls_identity_free(struct tls_identity *id);

/* The BIO of a TLS link: `data` is its struct stream. */
BIO_METHOD *mqbx_tls_bio_new(void);

#endif
