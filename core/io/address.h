/* SPDX-License-Identifier: MIT */
/*
 * Addresses: the URL of a listener taken apart, looked up, and socket addresses as text. Any
 * thread; looking up a name may block.
 */
#ifndef MQBX_IO_ADDRESS_H
#define MQBX_IO_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "io/error.h"

enum { ADDRESS_TEXT_MAX = 128, ADDRESS_CANDIDATES = 8 };

struct url {
    bool is_unix;
    bool is_tls;
    bool is_any; /* "*" */
    uint16_t port;
    char host[256]; /* without brackets */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* MQB_EINVAL with the reason. */
mqb_err mqbx_url_parse(const char *text, struct url *out, struct io_error *e);

struct address {
    struct sockaddr_storage sa;
    socklen_t len;
};

/* Where a socket for the URL may be bound, best first: `*` is the IPv6 wildcard (which takes IPv4
 * too unless ipv6_only) and then the IPv4 one; of a name's addresses IPv4 comes first. MQB_ESYS. */
mqb_err mqbx_url_resolve(const struct url *u, bool ipv6_only, struct address *out, uint32_t *count,
                         struct io_error *e);

/* "127.0.0.1:1883", "[::1]:1883", "unix:/path"; an IPv4 address inside IPv6 is shown as IPv4.
 * Answers the length. */
size_t mqbx_address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);
bool mqbx_address_is_loopback(const struct address *a); /* this machine: also by Unix socket */
uint16_t mqbx_address_port(const struct address *a);    /* 0: not IP */

#endif
