/* SPDX-License-Identifier: MIT */
/*
 * The values of a configuration as the engine and the listeners take them. Pure but for counting
 * processors.
 */
#include "broker/config_build.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/error.h"
#include "engine/msg.h"
#include "io/address.h"
#include "mqtt/reason.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

#define WORKERS_MAX 64

/* "broker.conf:12: " where the key was set by a file or the environment. */
static const char *place_of(const mqb_config *cfg, const char *key, char out[512])
{
    const struct config_entry *e = mqbx_config_entry(cfg, key);
    out[0] = '\0';
    if (e != NULL && strcmp(e->source, "set") != 0)
        snprintf(out, 512, "%s: ", e->source);
    return out;
}

static mqb_err contradiction(const mqb_config *cfg, const char *key, const char *sentence)
{
    char place[512];
    return mqbx_error(MQB_ECONFIG, "%s%s: %s", place_of(cfg, key, place), key, sentence);
}

static uint32_t seconds_of(int64_t ms, uint32_t word)
{
    return ms == CONFIG_WORD_VALUE ? word : (uint32_t)((ms + 999) / 1000);
}

static uint32_t seconds(const mqb_config *cfg, const char *key)
{
    return seconds_of(mqbx_config_number(cfg, key), UINT32_MAX);
}

#define NUMBER(type, key) ((type)mqbx_config_number(cfg, key))
#define FLAG(key) (mqbx_config_number(cfg, key) != 0)

static void fill_protocol(const mqb_config *cfg, struct settings *s)
{
    s->max_packet_bytes = NUMBER(uint32_t, "limits.max_packet_size");
    s->max_topic_levels = NUMBER(uint32_t, "limits.max_topic_levels");
    s->max_topic_bytes = NUMBER(uint32_t, "limits.max_topic_size");
    s->max_client_id_bytes = NUMBER(uint32_t, "limits.max_client_id");
    s->topic_alias_max_in = NUMBER(uint16_t, "protocol.topic_alias_max_in");
    s->topic_alias_max_out = NUMBER(uint16_t, "protocol.topic_alias_max_out");
    s->max_qos = NUMBER(uint8_t, "protocol.max_qos");
    s->retain_available = FLAG("protocol.retain");
    s->wildcard_available = FLAG("protocol.wildcards");
    s->subscription_id_available = FLAG("protocol.subscription_identifiers");
    s->shared_available = FLAG("protocol.shared_subscriptions");
    s->check_payload_format = FLAG("protocol.check_payload_format");
}

static void fill_windows(const mqb_config *cfg, struct settings *s)
{
    static const enum queue_policy policies[] = {QUEUE_DROP_OLDEST, QUEUE_DROP_NEW,
                                                 QUEUE_DISCONNECT};
    s->receive_maximum = NUMBER(uint16_t, "session.receive_maximum");
    s->max_inflight = NUMBER(uint16_t, "session.max_inflight");
    s->queue_max_messages = NUMBER(uint32_t, "queue.max_messages");
    s->queue_max_bytes = NUMBER(uint64_t, "queue.max_bytes");
    s->queue_policy = policies[mqbx_config_number(cfg, "queue.policy")];
    s->output_max_bytes = NUMBER(uint64_t, "output.max_bytes");
    s->output_mark_bytes = NUMBER(uint64_t, "output.mark");
    s->inbox_mark_bytes = NUMBER(uint64_t, "worker.inbox_mark");
}

static void fill_sessions(const mqb_config *cfg, struct settings *s)
{
    s->session_expiry_v3_s = seconds(cfg, "session.expiry_v3");
    s->session_expiry_max_s = seconds(cfg, "session.expiry_max");
    s->allow_takeover_by_other_user = FLAG("session.takeover_by_other_user");
    s->allow_empty_client_id = FLAG("session.empty_client_id");
    s->max_subscriptions = NUMBER(uint32_t, "limits.max_subscriptions");
    s->max_connections = NUMBER(uint32_t, "limits.max_connections");
    s->max_sessions = NUMBER(uint32_t, "limits.max_sessions");
    s->memory_limit_bytes = NUMBER(uint64_t, "limits.max_memory");
    s->max_retained_payload_bytes = NUMBER(uint32_t, "retained.max_payload");
}

static void fill_times(const mqb_config *cfg, struct settings *s)
{
    s->connect_timeout_ms = NUMBER(uint32_t, "connect.timeout");
    s->keep_alive_percent = NUMBER(uint32_t, "keepalive.percent");
    s->server_keep_alive_s = seconds(cfg, "keepalive.server");
    s->max_keep_alive_s = seconds(cfg, "keepalive.max");
    s->message_expiry_s = seconds_of(mqbx_config_number(cfg, "message.expiry"), MSG_NEVER_EXPIRES);
}

static mqb_err check_settings(const mqb_config *cfg, const struct settings *s)
{
    if (s->output_mark_bytes > s->output_max_bytes)
        return contradiction(cfg, "output.mark", "must not be over output.max_bytes");
    const char *info = mqbx_config_text(cfg, "protocol.response_information");
    if (!mqbx_utf8_valid(mqbx_bytes_of(info)))
        return contradiction(cfg, "protocol.response_information", "is not UTF-8");
    const char *reference = mqbx_config_text(cfg, "protocol.server_reference");
    if (!mqbx_utf8_valid(mqbx_bytes_of(reference)))
        return contradiction(cfg, "protocol.server_reference", "is not UTF-8");
    if (*reference == '\0' && mqbx_config_entry(cfg, "protocol.server_reference_reason") != NULL)
        return contradiction(cfg, "protocol.server_reference_reason",
                             "says nothing without protocol.server_reference");
    return MQB_OK;
}

mqb_err mqbx_config_settings(const mqb_config *cfg, struct settings **out)
{
    const char *info = mqbx_config_text(cfg, "protocol.response_information");
    const char *reference = mqbx_config_text(cfg, "protocol.server_reference");
    size_t info_len = strlen(info), reference_len = strlen(reference);
    size_t size = sizeof(struct settings) + info_len + reference_len;
    struct settings *s = mqbx_zalloc(cfg->alloc, size);
    if (s == NULL)
        return mqbx_error(MQB_ENOMEM, "out of memory");
    s->alloc = cfg->alloc;
    s->size = (uint32_t)size;
    mqbx_atomic_store32(&s->refs, 1);
    fill_protocol(cfg, s);
    fill_windows(cfg, s);
    fill_sessions(cfg, s);
    fill_times(cfg, s);
    char *texts = (char *)(s + 1);
    memcpy(texts, info, info_len);
    memcpy(texts + info_len, reference, reference_len);
    s->response_information = mqbx_bytes(texts, info_len);
    s->server_reference = mqbx_bytes(texts + info_len, reference_len);
    if (reference_len > 0)
        s->server_reference_reason =
            mqbx_config_number(cfg, "protocol.server_reference_reason") == 0 ? RC_USE_ANOTHER_SERVER
                                                                             : RC_SERVER_MOVED;
    mqb_err err = check_settings(cfg, s);
    if (err == MQB_OK)
        *out = s;
    else
        mqbx_settings_unref(s);
    return err;
}

uint32_t mqbx_config_workers(const mqb_config *cfg, bool *is_host_driven)
{
    int64_t n = mqbx_config_number(cfg, "threads");
    *is_host_driven = n == 0;
    if (n == CONFIG_WORD_VALUE)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (uint32_t)n;
}

uint32_t mqbx_config_interest_slots(const mqb_config *cfg)
{
    uint32_t wanted = NUMBER(uint32_t, "interest.slots");
    uint32_t slots = 1024;
    while (slots < wanted)
        slots *= 2;
    return slots;
}

bool mqbx_topic_prefix_valid(const char *text)
{
    struct bytes b = mqbx_bytes_of(text);
    return b.len == 0 || (mqbx_utf8_valid(b) && mqbx_topic_name_valid(b));
}

/* --- listeners ------------------------------------------------------------------------------- */

static mqb_err listener_contradiction(const mqb_config *cfg, const char *name, const char *key,
                                      const char *sentence)
{
    char full[128];
    snprintf(full, sizeof(full), "listener.%s.%s", name, key);
    return contradiction(cfg, full, sentence);
}

/* The first tls key that is set, NULL: none. */
static const char *any_tls_key(const mqb_config *cfg, const char *name)
{
    static const char *const keys[] = {"tls.cert",        "tls.key",     "tls.ca",
                                       "tls.client_cert", "tls.ciphers", "tls.ciphersuites",
                                       "tls.min_version"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char full[128];
        snprintf(full, sizeof(full), "listener.%s.%s", name, keys[i]);
        if (mqbx_config_entry(cfg, full) != NULL)
            return keys[i];
    }
    return NULL;
}

static mqb_err check_tls(const mqb_config *cfg, const char *name, const struct listener_options *o)
{
    const char *set = any_tls_key(cfg, name);
    if (strncmp(o->url, "mqtts://", 8) != 0)
        return set == NULL ? MQB_OK
                           : listener_contradiction(cfg, name, set, "needs an mqtts:// URL");
    if (*o->tls_cert_file == '\0')
        return listener_contradiction(cfg, name, "tls.cert", "is needed for an mqtts:// URL");
    if (*o->tls_key_file == '\0')
        return listener_contradiction(cfg, name, "tls.key", "is needed with tls.cert");
    if (o->client_cert != CLIENT_CERT_NONE && *o->tls_ca_file == '\0')
        return listener_contradiction(cfg, name, "tls.client_cert",
                                      "needs tls.ca: who may have signed them");
    return MQB_OK;
}

static mqb_err check_listener(const mqb_config *cfg, const char *name,
                              const struct listener_options *o)
{
    if (*o->url == '\0')
        return mqbx_error(
            MQB_ECONFIG,
            "listener.%s.url is missing: where to listen, such as mqtt://127.0.0.1:1883", name);
    struct url url;
    struct io_error e = {.text = ""};
    if (mqbx_url_parse(o->url, &url, &e) != MQB_OK)
        return listener_contradiction(cfg, name, "url", e.text);
    if (!mqbx_topic_prefix_valid(o->mountpoint))
        return listener_contradiction(cfg, name, "mountpoint", "is not the beginning of a topic");
    if (!mqbx_utf8_valid(mqbx_bytes_of(mqbx_config_listener_text(cfg, name, "tenant"))))
        return listener_contradiction(cfg, name, "tenant", "is not UTF-8");
    return check_tls(cfg, name, o);
}

mqb_err mqbx_config_listener(const mqb_config *cfg, const char *name, struct listener_options *out)
{
    static const enum anonymous_policy anonymous[] = {ANONYMOUS_NEVER, ANONYMOUS_LOOPBACK,
                                                      ANONYMOUS_ALWAYS};
    static const enum client_cert client_cert[] = {CLIENT_CERT_NONE, CLIENT_CERT_OPTIONAL,
                                                   CLIENT_CERT_REQUIRED};
#define TEXT(key) mqbx_config_listener_text(cfg, name, key)
#define LISTENER_NUMBER(key) mqbx_config_listener_number(cfg, name, key)
    int64_t fd = LISTENER_NUMBER("fd");
    *out = (struct listener_options){
        .name = name,
        .url = TEXT("url"),
        .mountpoint = TEXT("mountpoint"),
        .anonymous = anonymous[LISTENER_NUMBER("anonymous")],
        .max_connections = (uint32_t)LISTENER_NUMBER("max_connections"),
        .backlog = (int)LISTENER_NUMBER("backlog"),
        .inherited_fd = fd == CONFIG_WORD_VALUE ? -1 : (int)fd,
        .ipv6_only = LISTENER_NUMBER("ipv6_only") != 0,
        .tls_cert_file = TEXT("tls.cert"),
        .tls_key_file = TEXT("tls.key"),
        .tls_ca_file = TEXT("tls.ca"),
        .client_cert = client_cert[LISTENER_NUMBER("tls.client_cert")],
        .tls_min_version = TEXT("tls.min_version"),
        .tls_ciphers = TEXT("tls.ciphers"),
        .tls_ciphersuites = TEXT("tls.ciphersuites"),
    };
#undef TEXT
#undef LISTENER_NUMBER
    return check_listener(cfg, name, out);
}

/* Two listeners at one address, unless the system chooses the port or the socket is inherited. */
static mqb_err check_addresses(const mqb_config *cfg)
{
    char a[65], b[65];
    for (size_t i = 0; mqbx_config_next_listener(cfg, &i, a);) {
        const char *url = mqbx_config_listener_text(cfg, a, "url");
        size_t len = strlen(url);
        if (len > 2 && strcmp(url + len - 2, ":0") == 0)
            continue;
        if (mqbx_config_listener_number(cfg, a, "fd") != CONFIG_WORD_VALUE)
            continue;
        for (size_t j = i; mqbx_config_next_listener(cfg, &j, b);) {
            if (strcmp(url, mqbx_config_listener_text(cfg, b, "url")) == 0)
                return mqbx_error(MQB_ECONFIG, "listener.%s.url and listener.%s.url are the same",
                                  a, b);
        }
    }
    return MQB_OK;
}

mqb_err mqb_config_check(const mqb_config *cfg)
{
    if (cfg == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_config_check: cfg must be given");
    struct settings *s;
    mqb_err err = mqbx_config_settings(cfg, &s);
    if (err != MQB_OK)
        return err;
    mqbx_settings_unref(s);
    char name[65];
    for (size_t pos = 0; mqbx_config_next_listener(cfg, &pos, name);) {
        struct listener_options o;
        err = mqbx_config_listener(cfg, name, &o);
        if (err != MQB_OK)
            return err;
    }
    return check_addresses(cfg);
}
