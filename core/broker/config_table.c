/* SPDX-License-Identifier: MIT */
/*
 * The keys, their types, ranges and defaults. Immutable. Knows nothing of what the values do.
 */
#include "broker/config_table.h"

#include <stdint.h>
#include <string.h>

static const struct config_row rows[] = {
    {"threads", CONFIG_INT, true, "0..64|auto", "auto",
     "Worker threads. auto: one per processor core, at most 64. 0: none; the host polls "
     "mqb_broker_fd and calls mqb_broker_step."},

    {"listener.*.url", CONFIG_STRING, false, "1..1024", "",
     "Where to listen: mqtt://HOST:PORT, mqtts://HOST:PORT (TLS) or unix:///PATH. HOST is an IPv4 "
     "address, an [IPv6] address, a name, or * for all; PORT 0 lets the system choose."},
    {"listener.*.anonymous", CONFIG_ENUM, false, "never|loopback|always", "loopback",
     "Who may connect without being let in by a plugin: nobody, peers on this machine, or "
     "everybody."},
    {"listener.*.tenant", CONFIG_STRING, false, "0..128", "",
     "The tenant of all clients of this listener; empty: the default tenant."},
    {"listener.*.mountpoint", CONFIG_STRING, false, "0..1024", "",
     "Put before every topic and filter of this listener's clients, and taken off again in what "
     "they receive: \"site1/\"."},
    {"listener.*.max_connections", CONFIG_INT, false, "0..4294967295", "0",
     "Connections at once; more are closed when accepted. 0: only limits.max_connections counts."},
    {"listener.*.backlog", CONFIG_INT, false, "1..65535", "1024",
     "Connections the system holds until they are accepted; it may allow fewer."},
    {"listener.*.ipv6_only", CONFIG_BOOL, false, "", "false",
     "Do not accept IPv4 on an IPv6 address."},
    {"listener.*.fd", CONFIG_INT, false, "0..1048576|none", "none",
     "An open listening socket to use as it is (socket activation); the URL then gives only the "
     "protocol."},
    {"listener.*.tls.cert", CONFIG_PATH, false, "", "",
     "PEM file: the server's certificate, then the chain up to the root."},
    {"listener.*.tls.key", CONFIG_PATH, false, "", "", "PEM file: the key of tls.cert."},
    {"listener.*.tls.ca", CONFIG_PATH, false, "", "",
     "PEM file: authorities that may have signed client certificates."},
    {"listener.*.tls.client_cert", CONFIG_ENUM, false, "none|optional|required", "none",
     "Whether clients are asked for a certificate. One that is sent must be valid."},
    {"listener.*.tls.min_version", CONFIG_ENUM, false, "1.2|1.3", "1.2", "The lowest TLS version."},
    {"listener.*.tls.ciphers", CONFIG_STRING, false, "0..1024", "",
     "Cipher list for TLS 1.2 in OpenSSL's notation; empty: OpenSSL's default."},
    {"listener.*.tls.ciphersuites", CONFIG_STRING, false, "0..1024", "",
     "Cipher suites for TLS 1.3; empty: OpenSSL's default."},

    {"limits.max_packet_size", CONFIG_SIZE, false, "128..268435455", "1m",
     "Largest packet accepted, announced to MQTT 5 clients as Maximum Packet Size. A larger one "
     "closes "
     "the connection with 0x95."},
    {"limits.max_topic_levels", CONFIG_INT, false, "1..65535", "128",
     "Levels of a topic or filter."},
    {"limits.max_topic_size", CONFIG_INT, false, "1..65535", "65535",
     "Bytes of a topic or filter."},
    {"limits.max_client_id", CONFIG_INT, false, "23..65535", "65535", "Bytes of a client id."},
    {"limits.max_connections", CONFIG_INT, false, "0..4294967295", "0",
     "Connections at once; more are refused with 0x97. 0: as many as the system gives file "
     "descriptors."},
    {"limits.max_sessions", CONFIG_INT, false, "0..4294967295", "1000000",
     "Sessions, connected or not; more are refused with 0x97. 0: no limit."},
    {"limits.max_subscriptions", CONFIG_INT, false, "0..4294967295", "100000",
     "Subscriptions of one client; more are answered with 0x97. 0: no limit."},
    {"limits.max_tenants", CONFIG_INT, false, "1..1048576", "1024",
     "Names of tenants a broker keeps."},
    {"limits.max_memory", CONFIG_SIZE, false, "0..1048576g", "0",
     "Memory of sessions, messages and buffers, roughly. Above it new connections are refused with "
     "0x97 and "
     "what would be queued or retained is dropped and counted. 0: no limit."},

    {"protocol.max_qos", CONFIG_INT, false, "0..2", "2",
     "Highest QoS clients may publish with; subscriptions are granted no more."},
    {"protocol.retain", CONFIG_BOOL, false, "", "true", "Whether retained messages are available."},
    {"protocol.wildcards", CONFIG_BOOL, false, "", "true",
     "Whether subscriptions may contain wildcards."},
    {"protocol.subscription_identifiers", CONFIG_BOOL, false, "", "true",
     "Whether subscriptions may have identifiers."},
    {"protocol.shared_subscriptions", CONFIG_BOOL, false, "", "true",
     "Whether $share/GROUP/FILTER is available, in MQTT 3.1.1 too."},
    {"protocol.check_payload_format", CONFIG_BOOL, false, "", "false",
     "Refuse a payload declared as text (Payload Format Indicator 1) that is not UTF-8, with "
     "0x99."},
    {"protocol.topic_alias_max_in", CONFIG_INT, false, "0..65535", "16",
     "Topic aliases a client may use, announced as Topic Alias Maximum."},
    {"protocol.topic_alias_max_out", CONFIG_INT, false, "0..65535", "16",
     "Topic aliases the broker uses at most towards a client that allows them."},
    {"protocol.response_information", CONFIG_STRING, false, "0..1024", "",
     "Response Information told to clients that ask: a prefix for their response topics."},
    {"protocol.server_reference", CONFIG_STRING, false, "0..1024", "",
     "Sends every client to another server: answered to each CONNECT. Empty: serve."},
    {"protocol.server_reference_reason", CONFIG_ENUM, false, "use_another|moved", "use_another",
     "The reason code with it: 0x9C (for now) or 0x9D (for good)."},

    {"connect.timeout", CONFIG_DURATION, false, "100ms..1h", "15s",
     "From the connection's start to a complete CONNECT; then it is closed."},
    {"keepalive.percent", CONFIG_INT, false, "100..1000", "150",
     "A client silent for this much of its keep alive is taken for dead; the standard says 150."},
    {"keepalive.server", CONFIG_DURATION, false, "0..65535s", "0",
     "Imposed on all MQTT 5 clients as Server Keep Alive. 0: clients choose."},
    {"keepalive.max", CONFIG_DURATION, false, "0..65535s", "0",
     "A longer or no keep alive becomes this, told as Server Keep Alive. 0: no limit."},

    {"session.expiry_v3", CONFIG_DURATION, false, "0..49710d|never", "2h",
     "How long a session of MQTT 3.1 and 3.1.1 without clean session outlives its connection."},
    {"session.expiry_max", CONFIG_DURATION, false, "0..49710d|never", "24h",
     "The longest Session Expiry Interval an MQTT 5 client gets; a longer wish is cut and told "
     "so."},
    {"session.max_inflight", CONFIG_INT, false, "1..65535", "32",
     "QoS 1 and 2 messages sent to a client and not yet acknowledged; its Receive Maximum if that "
     "is lower."},
    {"session.receive_maximum", CONFIG_INT, false, "1..65535", "100",
     "QoS 1 and 2 messages taken from a client and not yet acknowledged, announced as Receive "
     "Maximum."},
    {"session.takeover_by_other_user", CONFIG_BOOL, false, "", "false",
     "Whether a client id in use may be taken over by a client with another user name."},
    {"session.empty_client_id", CONFIG_BOOL, false, "", "true",
     "Whether a client may leave its client id to the broker."},

    {"queue.max_messages", CONFIG_INT, false, "0..4294967295", "1000",
     "QoS 1 and 2 messages waiting for one session, connected or not. 0: none wait."},
    {"queue.max_bytes", CONFIG_SIZE, false, "0..1048576g", "8m", "Bytes of these messages."},
    {"queue.policy", CONFIG_ENUM, false, "drop_oldest|drop_new|disconnect", "drop_oldest",
     "What a full queue does: drop its oldest message, drop the new one, or end the connection "
     "with 0x97."},
    {"message.expiry", CONFIG_DURATION, false, "1s..49710d|never", "never",
     "Message Expiry Interval of messages that come without one."},

    {"output.max_bytes", CONFIG_SIZE, false, "64k..64g", "8m",
     "Unsent bytes of one connection; QoS 0 messages beyond it are dropped and counted. As much as "
     "a queue: "
     "eight packets of the largest default size."},
    {"output.mark", CONFIG_SIZE, false, "4k..64g", "256k",
     "Unsent bytes of one connection above which queued and retained messages wait for its socket: "
     "enough to "
     "keep it busy between two turns."},
    {"worker.inbox_mark", CONFIG_SIZE, false, "64k..64g", "16m",
     "Bytes waiting in a worker's inbox above which the sockets of publishers are not read."},
    {"worker.accepts_per_turn", CONFIG_INT, true, "1..10000", "64",
     "Connections accepted at once before others are served again."},
    {"interest.slots", CONFIG_INT, true, "1024..1073741824", "1048576",
     "Size of the table that says which workers have subscribers for a topic, rounded up to a "
     "power of two; 8 "
     "bytes each, touched as needed. A few times the number of different filters is good."},

    {"retained.max_count", CONFIG_INT, false, "0..1099511627776", "1000000",
     "Retained messages in all. More are delivered, but not kept."},
    {"retained.max_bytes", CONFIG_SIZE, false, "0..1048576g", "1g",
     "Bytes of retained messages in all."},
    {"retained.max_payload", CONFIG_SIZE, false, "0..268435455", "1m",
     "Largest payload that is retained. A larger one is delivered, but not kept."},

    {"plugin.folder", CONFIG_PATH, true, "", "",
     "Where plugins lie that are named by their file alone; empty: paths must be absolute."},
    {"plugin.deadline", CONFIG_DURATION, true, "10ms..1h", "5s",
     "A question that plugins have not answered by then is denied."},
    {"plugin.pool_threads", CONFIG_INT, true, "1..256", "4",
     "Threads for plugins that run in the pool."},
    {"plugin.queue", CONFIG_INT, true, "1..1000000", "10000",
     "Questions that wait for a plugin's thread, or for the pool; more are denied at once."},
    {"plugin.*.path", CONFIG_PATH, true, "", "",
     "Loads a plugin: an absolute path, or a file in plugin.folder. Those of a configuration are "
     "asked in the order of their names."},
    {"plugin.*.*", CONFIG_STRING, false, "0..65535", "",
     "A key of the plugin's own; it says which it has."},

    {"log.level", CONFIG_ENUM, false, "error|warn|info|debug", "info", "Lowest level logged."},
    {"log.format", CONFIG_ENUM, false, "text|json", "text", "Lines for people, or JSON objects."},
    {"log.time", CONFIG_BOOL, false, "", "true",
     "Begin text lines with the time (UTC); JSON always has it."},
    {"log.burst", CONFIG_INT, false, "0..1000000", "10",
     "Lines of one kind per second; those left out are counted in one line afterwards. 0: no "
     "limit."},

    {"sys.interval", CONFIG_DURATION, true, "0..1d", "60s",
     "How often metrics are published, retained, under $SYS/broker/ in the default tenant. 0: "
     "never."},

    {"stop.grace", CONFIG_DURATION, false, "0..1h", "5s",
     "How long clients may take what is unsent when the broker stops (mqb_broker_stop with -1)."},
};

const struct config_row *mqbx_config_row(size_t i)
{
    return i < sizeof(rows) / sizeof(rows[0]) ? &rows[i] : NULL;
}

const char *mqbx_config_type_name(enum config_type type)
{
    static const char *const names[] = {"bool", "int",    "size", "duration",
                                        "enum", "string", "path"};
    return names[type];
}

bool mqbx_config_member_valid(const char *name, size_t len)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return len > 0 && len <= 64 && strspn(name, allowed) >= len;
}

/* Whether key is name with a member's name for "*". */
static bool row_is(const char *name, const char *key)
{
    const char *star = strchr(name, '*');
    if (star == NULL)
        return strcmp(name, key) == 0;
    size_t head = (size_t)(star - name);
    if (strncmp(name, key, head) != 0)
        return false;
    size_t member = strcspn(key + head, ".");
    return mqbx_config_member_valid(key + head, member) && row_is(star + 1, key + head + member);
}

const struct config_row *mqbx_config_row_find(const char *key)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (row_is(rows[i].name, key))
            return &rows[i];
    }
    return NULL;
}

/* Writes the row's name with the member's name that key has in that place. */
static bool row_key(const char *name, const char *key, char *out, size_t cap)
{
    const char *star = strchr(name, '*');
    size_t head = star == NULL ? strlen(name) : (size_t)(star - name);
    const char *member = "NAME";
    size_t member_len = 4;
    const char *dot = strchr(key, '.');
    if (star != NULL && dot != NULL && mqbx_config_member_valid(dot + 1, strcspn(dot + 1, "."))) {
        member = dot + 1;
        member_len = strcspn(member, ".");
    }
    size_t tail = star == NULL ? 0 : strlen(star + 1);
    size_t len = head + (star == NULL ? 0 : member_len) + tail;
    if (len >= cap)
        return false;
    memcpy(out, name, head);
    if (star != NULL) {
        memcpy(out + head, member, member_len);
        memcpy(out + head + member_len, star + 1, tail);
    }
    out[len] = '\0';
    return true;
}

#define DISTANCE_MAX 192

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* How many characters must be put in, left out or replaced; strings longer than DISTANCE_MAX are
 * far. */
static size_t distance(const char *a, const char *b)
{
    size_t rows_n = strlen(a), cols_n = strlen(b);
    size_t row[DISTANCE_MAX + 1];
    if (rows_n > DISTANCE_MAX || cols_n > DISTANCE_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= cols_n; j++)
        row[j] = j;
    for (size_t i = 1; i <= rows_n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= cols_n; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[cols_n];
}

bool mqbx_config_row_nearest(const char *key, char *out, size_t cap)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char candidate[DISTANCE_MAX + 1];
        if (!row_key(rows[i].name, key, candidate, sizeof(candidate)) || strchr(candidate, '*'))
            continue;
        size_t d = distance(key, candidate);
        if (d < best && strlen(candidate) < cap) {
            best = d;
            memcpy(out, candidate, strlen(candidate) + 1);
        }
    }
    return best <= 2 || best <= strlen(key) / 3;
}
