/* SPDX-License-Identifier: MIT */
/*
 * A listener's TLS configuration made into an SSL_CTX, with sentences that name the file at fault.
 * Runs in the thread that opens or reloads the listener; the result is immutable.
 */
#include <openssl/err.h>
#include <string.h>

#include "io/tls.h"

static const char session_context[] =
    "mqtt"; /* a context of its own per listener has keys of its own */

/* What a step of the setup needs, to say what failed. */
struct setup {
    const struct listener_options *o;
    const char *name;
    SSL_CTX *ssl;
    struct io_error *e;
};

static bool is_set(const char *text)
{
    return text && text[0] != '\0';
}

const char *mqbx_tls_reason(void)
{
    unsigned long code = ERR_peek_error();
    return code == 0 ? NULL : ERR_reason_error_string(code);
}

/* "listener NAME: cannot WHAT FILE: reason" */
static mqb_err refuse(const struct setup *s, const char *what, const char *thing)
{
    unsigned long code = ERR_peek_error();
    struct io_error_name system = {.text = "unknown error"};
    const char *reason = mqbx_tls_reason();
    if (ERR_SYSTEM_ERROR(code)) {
        system = mqbx_io_strerror(ERR_GET_REASON(code));
        reason = system.text;
    }
    mqbx_io_error(s->e, MQB_ETLS, "listener %s: cannot %s %s: %s", s->name, what, thing,
                  reason ? reason : system.text);
    ERR_clear_error();
    return MQB_ETLS;
}

/* An encrypted key must not make OpenSSL ask on the terminal. */
static int no_password(char *out, int size, int is_writing, void *arg)
{
    (void)out;
    (void)size;
    (void)is_writing;
    (void)arg;
    return 0;
}

static mqb_err load_key_pair(const struct setup *s)
{
    const char *cert = s->o->tls_cert_file;
    const char *key = s->o->tls_key_file;
    if (!is_set(cert) || !is_set(key))
        return mqbx_io_error(s->e, MQB_ETLS,
                             "listener %s: TLS needs a certificate and its key: set "
                             "listener.%s.tls.%s",
                             s->name, s->name, is_set(cert) ? "key" : "cert");
    SSL_CTX_set_default_passwd_cb(s->ssl, no_password);
    if (SSL_CTX_use_certificate_chain_file(s->ssl, cert) != 1)
        return refuse(s, "use the certificate chain", cert);
    bool is_read = SSL_CTX_use_PrivateKey_file(s->ssl, key, SSL_FILETYPE_PEM) == 1;
    if (!is_read && ERR_GET_REASON(ERR_peek_error()) != X509_R_KEY_VALUES_MISMATCH)
        return refuse(s, "use the key", key);
    if (is_read && SSL_CTX_check_private_key(s->ssl) == 1)
        return MQB_OK;
    ERR_clear_error();
    return mqbx_io_error(s->e, MQB_ETLS,
                         "listener %s: the key %s does not belong to the certificate %s", s->name,
                         key, cert);
}

static mqb_err load_client_ca(const struct setup *s)
{
    const char *file = s->o->tls_ca_file;
    if (s->o->client_cert == CLIENT_CERT_NONE)
        return MQB_OK;
    if (!is_set(file))
        return mqbx_io_error(s->e, MQB_ETLS,
                             "listener %s: client certificates are checked with a CA: set "
                             "listener.%s.tls.ca",
                             s->name, s->name);
    if (SSL_CTX_load_verify_locations(s->ssl, file, NULL) != 1)
        return refuse(s, "use the CA file", file);
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
    if (!names)
        return refuse(s, "use the CA file", file);
    SSL_CTX_set_client_CA_list(s->ssl, names);
    int mode = SSL_VERIFY_PEER;
    if (s->o->client_cert == CLIENT_CERT_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(s->ssl, mode, NULL);
    return MQB_OK;
}

static mqb_err set_versions(const struct setup *s)
{
    const char *version = is_set(s->o->tls_min_version) ? s->o->tls_min_version : "1.2";
    int number;
    if (strcmp(version, "1.2") == 0)
        number = TLS1_2_VERSION;
    else if (strcmp(version, "1.3") == 0)
        number = TLS1_3_VERSION;
    else
        return mqbx_io_error(s->e, MQB_EINVAL,
                             "listener %s: the lowest TLS version is \"%s\"; it must be 1.2 or 1.3",
                             s->name, version);
    if (SSL_CTX_set_min_proto_version(s->ssl, number) != 1)
        return refuse(s, "use TLS version", version);
    if (is_set(s->o->tls_ciphers) && SSL_CTX_set_cipher_list(s->ssl, s->o->tls_ciphers) != 1)
        return refuse(s, "use the cipher list", s->o->tls_ciphers);
    if (is_set(s->o->tls_ciphersuites) &&
        SSL_CTX_set_ciphersuites(s->ssl, s->o->tls_ciphersuites) != 1)
        return refuse(s, "use the TLS 1.3 cipher suites", s->o->tls_ciphersuites);
    return MQB_OK;
}

/* Sessions are resumed by tickets; the server keeps none. A client certificate is in the ticket,
 * hence the session context, without which OpenSSL refuses to resume such sessions. */
static mqb_err set_sessions(const struct setup *s)
{
    SSL_CTX_set_session_cache_mode(s->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(s->ssl, 1);
    if (SSL_CTX_set_session_id_context(s->ssl, (const unsigned char *)session_context,
                                       sizeof(session_context) - 1) != 1)
        return refuse(s, "set", "the session context");
    return MQB_OK;
}

static mqb_err configure(const struct setup *s)
{
    mqb_err err = load_key_pair(s);
    if (err == MQB_OK)
        err = load_client_ca(s);
    if (err == MQB_OK)
        err = set_versions(s);
    if (err == MQB_OK)
        err = set_sessions(s);
    SSL_CTX_set_dh_auto(s->ssl, 1);
    return err;
}

static mqb_err make_ssl(const struct listener_options *o, const char *name, SSL_CTX **out,
                        struct io_error *e)
{
    ERR_clear_error();
    if (o->tls_ctx) {
        SSL_CTX_up_ref(o->tls_ctx);
        *out = o->tls_ctx;
        return MQB_OK;
    }
    struct setup s = {.o = o, .name = name, .ssl = SSL_CTX_new(TLS_server_method()), .e = e};
    if (!s.ssl)
        return refuse(&s, "make", "a TLS context");
    mqb_err err = configure(&s);
    if (err == MQB_OK)
        *out = s.ssl;
    else
        SSL_CTX_free(s.ssl);
    return err;
}

mqb_err mqbx_tls_context_new(const struct alloc *a, const struct listener_options *o,
                             const char *name, struct tls_context **out, struct io_error *e)
{
    SSL_CTX *ssl = NULL;
    mqb_err err = make_ssl(o, name, &ssl, e);
    if (err != MQB_OK)
        return err;
    BIO_METHOD *bio = mqbx_tls_bio_new();
    struct tls_context *t = mqbx_alloc(a, sizeof(*t));
    if (!bio || !t) {
        BIO_meth_free(bio);
        mqbx_free(a, t, sizeof(*t));
        SSL_CTX_free(ssl);
        return mqbx_io_error(e, MQB_ENOMEM, "listener %s: out of memory for TLS", name);
    }
    *t = (struct tls_context){.alloc = a, .ssl = ssl, .bio = bio};
    *out = t;
    return MQB_OK;
}

void mqbx_tls_context_free(struct tls_context *t)
{
    if (!t)
        return;
    BIO_meth_free(t->bio);
    SSL_CTX_free(t->ssl);
    mqbx_free(t->alloc, t, sizeof(*t));
}
