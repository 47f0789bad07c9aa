/* SPDX-License-Identifier: MIT */
/*
 * Who a client certificate says the peer is. On the thread of whoever has the link, once, after the
 * handshake.
 */
#include <openssl/x509v3.h>
#include <string.h>

#include "io/tls.h"

/* What OpenSSL allocates on the way. */
struct names {
    unsigned char *common_name;
    int common_name_len;
    BIO *subject;
};

/* The last common name is the most specific one. */
static bool take_common_name(X509_NAME *name, struct names *n)
{
    int at = -1;
    int last = -1;
    while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
        last = at;
    if (last < 0)
        return true;
    ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last));
    n->common_name_len = ASN1_STRING_to_UTF8(&n->common_name, text);
    if (n->common_name_len < 0) {
        n->common_name_len = 0;
        return false;
    }
    return !memchr(n->common_name, '\0', (size_t)n->common_name_len);
}

static bool take_subject(X509_NAME *name, struct names *n)
{
    n->subject = BIO_new(BIO_s_mem());
    return n->subject && X509_NAME_print_ex(n->subject, name, 0, XN_FLAG_RFC2253) >= 0;
}

static struct tls_identity *copy_names(const struct alloc *a, const struct names *n)
{
    char *subject = NULL;
    size_t subject_len = (size_t)BIO_get_mem_data(n->subject, &subject);
    size_t common_name_len = (size_t)n->common_name_len;
    size_t size = sizeof(struct tls_identity) + common_name_len + subject_len;
    struct tls_identity *id = mqbx_alloc(a, size);
    if (!id)
        return NULL;
    id->alloc = a;
    id->size = size;
    id->common_name_len = (uint32_t)common_name_len;
    id->subject_len = (uint32_t)subject_len;
    if (common_name_len > 0)
        memcpy(id->data, n->common_name, common_name_len);
    if (subject_len > 0)
        memcpy(id->data + common_name_len, subject, subject_len);
    return id;
}

bool mqbx_tls_identity_new(const struct alloc *a, SSL *ssl, struct tls_identity **out)
{
    *out = NULL;
    X509 *cert = SSL_get0_peer_certificate(ssl);
    if (!cert || SSL_get_verify_result(ssl) != X509_V_OK)
        return true;
    struct names n = {0};
    X509_NAME *name = X509_get_subject_name(cert);
    if (take_common_name(name, &n) && take_subject(name, &n))
        *out = copy_names(a, &n);
    OPENSSL_free(n.common_name);
    BIO_free(n.subject);
    return *out != NULL;
}

void mqbx_tls_identity_free(struct tls_identity *id)
{
    if (id)
        mqbx_free(id->alloc, id, id->size);
}
