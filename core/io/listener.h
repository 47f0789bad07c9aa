/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: what one is asked to be. URLs: mqtt://HOST:PORT, mqtts://HOST:PORT,
 * unix:///PATH; HOST may be an IPv4 or [IPv6] address, a name, or * for all; PORT 0 lets the system
 * choose.
 */
#ifndef MQBX_IO_LISTENER_H
#define MQBX_IO_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/settings.h"

enum client_cert { CLIENT_CERT_NONE, CLIENT_CERT_OPTIONAL, CLIENT_CERT_REQUIRED };

/* Copied by whoever keeps it. Paths as configured; NULL or "": none. */
struct listener_options {
    const char *name; /* for logs and configuration; "" is given a name made from the URL */
    const char *url;
    uint32_t tenant;
    const char *mountpoint;
    enum anonymous_policy anonymous;
    uint32_t max_connections; /* 0: no limit */
    int backlog;
    int inherited_fd; /* -1: none; else this listening socket is used as it is */
    bool ipv6_only;
    const char *tls_cert_file; /* PEM chain */
    const char *tls_key_file;
    const char *tls_ca_file; /* for client certificates */
    enum client_cert client_cert;
    const char *tls_min_version; /* "1.2" (default) or "1.3" */
    const char *tls_ciphers;     /* TLS 1.2 list, "" default */
    const char *tls_ciphersuites;
    void *tls_ctx; /* an SSL_CTX of the host's, counted up; instead of the files */
};

#endif
