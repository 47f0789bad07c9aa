/* SPDX-License-Identifier: MIT */
/*
 * See address.h.
 */
#include "io/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { PORT_MQTT = 1883, PORT_MQTTS = 8883 };

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static mqb_err parse_unix(const char *text, const char *path, struct url *out, struct io_error *e)
{
    if (path[0] != '/')
        return mqbx_io_error(e, MQB_EINVAL,
                             "\"%s\" is no listener URL: the path must be absolute, "
                             "as in unix:///run/mqtt.sock",
                             text);
    if (strlen(path) >= sizeof(out->path))
        return mqbx_io_error(e, MQB_EINVAL,
                             "\"%s\" is no listener URL: the path is longer than the %zu bytes "
                             "a Unix socket may have",
                             text, sizeof(out->path) - 1);
    out->is_unix = true;
    snprintf(out->path, sizeof(out->path), "%s", path);
    return MQB_OK;
}

/* "1883" or "1883/" */
static bool parse_port(const char *text, uint16_t *port)
{
    uint32_t value = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5)
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (uint32_t)(text[i] - '0');
    *port = (uint16_t)value;
    return value <= UINT16_MAX && (text[digits] == '\0' || strcmp(text + digits, "/") == 0);
}

/* HOST, HOST:PORT, [IPv6], [IPv6]:PORT; what follows the host is left in *rest. */
static bool split_host(const char *text, struct url *out, const char **rest)
{
    size_t len;
    if (text[0] == '[') {
        const char *end = strchr(++text, ']');
        if (!end)
            return false;
        len = (size_t)(end - text);
        *rest = end + 1;
    } else {
        len = strcspn(text, ":/");
        *rest = text + len;
    }
    if (len == 0 || len >= sizeof(out->host))
        return false;
    memcpy(out->host, text, len);
    out->host[len] = '\0';
    out->is_any = strcmp(out->host, "*") == 0;
    return true;
}

static mqb_err parse_ip(const char *text, const char *authority, struct url *out,
                        struct io_error *e)
{
    const char *rest;
    if (!split_host(authority, out, &rest))
        return mqbx_io_error(e, MQB_EINVAL,
                             "\"%s\" is no listener URL: it has no host (use * for all "
                             "addresses, [..] around an IPv6 address)",
                             text);
    out->port = out->is_tls ? PORT_MQTTS : PORT_MQTT;
    if (rest[0] == '\0' || strcmp(rest, "/") == 0)
        return MQB_OK;
    if (rest[0] == ':' && parse_port(rest + 1, &out->port))
        return MQB_OK;
    return mqbx_io_error(e, MQB_EINVAL,
                         "\"%s\" is no listener URL: after the host comes :PORT, 0 to 65535, and "
                         "nothing else",
                         text);
}

mqb_err mqbx_url_parse(const char *text, struct url *out, struct io_error *e)
{
    memset(out, 0, sizeof(*out));
    if (starts_with(text, "unix://"))
        return parse_unix(text, text + strlen("unix://"), out, e);
    if (starts_with(text, "mqtt://"))
        return parse_ip(text, text + strlen("mqtt://"), out, e);
    if (starts_with(text, "mqtts://")) {
        out->is_tls = true;
        return parse_ip(text, text + strlen("mqtts://"), out, e);
    }
    return mqbx_io_error(e, MQB_EINVAL,
                         "\"%s\" is no listener URL: it must begin with mqtt://, mqtts:// or "
                         "unix://",
                         text);
}

static void add_any(int family, uint16_t port, struct address *out, uint32_t *count)
{
    struct address *a = &out[(*count)++];
    memset(a, 0, sizeof(*a));
    a->sa.ss_family = (sa_family_t)family;
    if (family == AF_INET6) {
        a->len = sizeof(struct sockaddr_in6);
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons(port);
    } else {
        a->len = sizeof(struct sockaddr_in);
        ((struct sockaddr_in *)&a->sa)->sin_port = htons(port);
    }
}

static void add_family(const struct addrinfo *list, int family, struct address *out,
                       uint32_t *count)
{
    for (const struct addrinfo *ai = list; ai && *count < ADDRESS_CANDIDATES; ai = ai->ai_next) {
        if (ai->ai_family != family || ai->ai_addrlen > sizeof(out->sa))
            continue;
        struct address *a = &out[(*count)++];
        memset(a, 0, sizeof(*a));
        memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
        a->len = ai->ai_addrlen;
    }
}

static mqb_err look_up(const struct url *u, bool ipv6_only, struct address *out, uint32_t *count,
                       struct io_error *e)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[8];
    snprintf(port, sizeof(port), "%u", u->port);
    int err = getaddrinfo(u->host, port, &hints, &list);
    if (err != 0)
        return mqbx_io_error(e, MQB_ESYS, "cannot listen on %s:%u: getaddrinfo: %s", u->host,
                             u->port,
                             err == EAI_SYSTEM ? mqbx_io_strerror(errno).text : gai_strerror(err));
    if (!ipv6_only)
        add_family(list, AF_INET, out, count);
    add_family(list, AF_INET6, out, count);
    freeaddrinfo(list);
    if (*count == 0)
        return mqbx_io_error(e, MQB_ESYS, "cannot listen on %s:%u: it has no usable address",
                             u->host, u->port);
    return MQB_OK;
}

mqb_err mqbx_url_resolve(const struct url *u, bool ipv6_only, struct address *out, uint32_t *count,
                         struct io_error *e)
{
    *count = 0;
    if (!u->is_any && !u->is_unix)
        return look_up(u, ipv6_only, out, count, e);
    if (u->is_unix) {
        struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;
        memset(out, 0, sizeof(*out));
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, u->path, sizeof(un->sun_path));
        out->len = sizeof(*un);
        *count = 1;
        return MQB_OK;
    }
    add_any(AF_INET6, u->port, out, count);
    if (!ipv6_only)
        add_any(AF_INET, u->port, out, count);
    return MQB_OK;
}

/* An IPv4 address, also one that comes as ::ffff:a.b.c.d through a dual-stack socket. */
static bool as_ipv4(const struct address *a, struct in_addr *out)
{
    if (a->sa.ss_family == AF_INET) {
        *out = ((const struct sockaddr_in *)&a->sa)->sin_addr;
        return true;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;
    if (a->sa.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        return false;
    memcpy(out, in6->sin6_addr.s6_addr + 12, sizeof(*out));
    return true;
}

uint16_t mqbx_address_port(const struct address *a)
{
    if (a->sa.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a->sa)->sin_port);
    if (a->sa.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->sa)->sin6_port);
    return 0;
}

bool mqbx_address_is_loopback(const struct address *a)
{
    struct in_addr in;
    if (as_ipv4(a, &in))
        return (ntohl(in.s_addr) >> 24) == 127;
    if (a->sa.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&a->sa)->sin6_addr);
    return a->sa.ss_family == AF_UNIX;
}

static int text_of_ipv6(const struct sockaddr_in6 *in6, char out[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    char scope[IF_NAMESIZE + 1] = "";
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
    if (in6->sin6_scope_id != 0) {
        scope[0] = '%';
        if (!if_indextoname(in6->sin6_scope_id, scope + 1))
            scope[0] = '\0';
    }
    return snprintf(out, ADDRESS_TEXT_MAX, "[%s%s]:%u", host, scope, ntohs(in6->sin6_port));
}

static int text_of_unix(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    size_t len = a->len > offset ? strnlen(un->sun_path, a->len - offset) : 0;
    return snprintf(out, ADDRESS_TEXT_MAX, "unix:%.*s", (int)len, un->sun_path);
}

size_t mqbx_address_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    struct in_addr in;
    int len;
    if (as_ipv4(a, &in)) {
        char host[INET_ADDRSTRLEN] = "?";
        inet_ntop(AF_INET, &in, host, sizeof(host));
        len = snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host, mqbx_address_port(a));
    } else if (a->sa.ss_family == AF_INET6) {
        len = text_of_ipv6((const struct sockaddr_in6 *)&a->sa, out);
    } else if (a->sa.ss_family == AF_UNIX) {
        len = text_of_unix(a, out);
    } else {
        len = snprintf(out, ADDRESS_TEXT_MAX, "unknown");
    }
    return (size_t)len;
}
