/* SPDX-License-Identifier: MIT */
/*
 * mqttbroker.h - an MQTT 3.1, 3.1.1 and 5.0 broker inside your process.
 *
 *     mqb_config *cfg;
 *     mqb_broker *b;
 *     mqb_config_new(&cfg);
 *     mqb_config_set(cfg, "listener.main.url", "mqtt://127.0.0.1:1883");
 *     mqb_broker_new(cfg, &b);
 *     mqb_config_free(cfg);
 *     mqb_broker_start(b);
 *     ... mqb_publish(b, "sensor/1/temperature", "21.5", 4, 0, 0) ...
 *     mqb_broker_stop(b, 5000);
 *     mqb_broker_free(b);
 *
 * Life     new (no I/O, no threads) -> listeners -> start -> ... -> stop -> start again, or free.
 *          mqb_broker_free is right at every point, also after a failed start. There may be any
 *          number of brokers in a process.
 *
 * Threads  Each function says who may call it:
 *          [any]       any thread, at any time, from callbacks too. Never waits for another thread.
 *          [owner]     calls marked so must not overlap on one object; the caller serialises them.
 *                      A broker answers an overlap with MQB_ESTATE.
 *          [loop]      only the thread that drives a broker with threads = 0.
 *          [blocking]  waits for the broker's threads. Called on one of them (in a callback) it
 *                      answers MQB_ESTATE.
 *          Callbacks run on a thread of the broker (with threads = 0: inside mqb_broker_step) and
 *          must not block.
 *
 * Memory   The library copies every string and structure passed in, payloads too unless a free
 *          function comes with them. What a callback is given lives until it returns; a message
 *          lives longer with mqb_msg_ref. Text given out as mqb_str is not NUL-terminated.
 *
 * Errors   Functions answer 0 (MQB_OK) or one of the negative codes below; then nothing has
 *          changed, and mqb_last_error() has a sentence for people. Any function may answer
 *          MQB_EINVAL for a pointer that must not be NULL, and MQB_ENOMEM; this is not repeated.
 *
 * Growth   Structures with `struct_size` grow at their end. Fill them by their _defaults() function
 *          or with zeros and struct_size = sizeof: zero always means the default. A library that is
 *          older than its caller refuses what it does not know with MQB_ENOTSUP.
 *
 * Guests   The library installs no signal handler (its threads block all signals), writes nothing
 * to stdout or stderr, never exits or aborts, and has no writable globals but the error text of
 *          each thread. Nothing may be called after fork without exec.
 *
 * Names in brackets such as [MQTT-3.3.1-5] are the numbered statements of the OASIS standards.
 */
#ifndef MQTTBROKER_H
#define MQTTBROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MQB_VERSION_MAJOR 0
#define MQB_VERSION_MINOR 1
#define MQB_VERSION_PATCH 0

#if defined(_WIN32)
#define MQB_API
#else
#define MQB_API __attribute__((visibility("default")))
#endif

typedef struct mqb_config mqb_config; /* settings; copied by whoever takes one */
typedef struct mqb_broker mqb_broker; /* one broker */
typedef struct mqb_local mqb_local;   /* an in-process handle: a client without a socket */
typedef struct mqb_msg mqb_msg;       /* one PUBLISH: immutable, counted */

/* Ids of what comes and goes: never reused within a broker. 0 is nobody. */
typedef struct {
    uint64_t id;
} mqb_client; /* a session */
typedef struct {
    uint64_t id;
} mqb_listener;
typedef struct {
    uint64_t id;
} mqb_sub; /* an in-process subscription */

/* A borrowed run of bytes: not owned, not NUL-terminated. */
typedef struct {
    const char *ptr;
    size_t len;
} mqb_str;

static inline mqb_str mqb_str_of(const char *text)
{
    mqb_str s;
    s.ptr = text;
    s.len = text ? strlen(text) : 0;
    return s;
}

/* --- errors ---------------------------------------------------------------- */

typedef int32_t mqb_err;

enum {
    MQB_OK = 0,
    MQB_ENOMEM = -1,     /* out of memory */
    MQB_EINVAL = -2,     /* an argument no state of the broker could make right */
    MQB_ESTATE = -3,     /* not now: not started, stopping, or on a thread where this cannot be */
    MQB_ENOENT = -4,     /* no such key, listener, client or subscription (any more) */
    MQB_EEXIST = -5,     /* there is one of that name already */
    MQB_EAGAIN = -6,     /* the broker has enough to do: try again */
    MQB_EQUOTA = -7,     /* over a configured limit */
    MQB_EDENIED = -8,    /* refused by access rules */
    MQB_ETIMEDOUT = -9,  /* the time given is over */
    MQB_ECANCELED = -10, /* the broker stopped, or the handle was closed, first */
    MQB_ENOTSUP = -11,   /* this library or build cannot */
    MQB_ECONFIG = -12,   /* configuration: an unknown key, a bad value, keys that contradict */
    MQB_EPLUGIN = -13,   /* a plugin failed */
    MQB_ETLS = -14,      /* certificate, key or TLS setting */
    MQB_ESTORAGE = -15,  /* the store failed */
    MQB_ESYS = -16       /* the operating system said no; the sentence has its reason */
};

/* [any] major << 16 | minor << 8 | patch of the library that runs, to compare with the macros. */
MQB_API uint32_t mqb_version(void);

/* [any] A few static words for a code: "out of memory". Never NULL. */
MQB_API const char *mqb_strerror(mqb_err err);

/* [any] The sentence of this thread's last failed call, "" when none has failed. Names key, file,
 * address and cause. Lives until the next failure on this thread. */
MQB_API const char *mqb_last_error(void);

/* [any] The same, copied: at most cap - 1 bytes and a NUL (nothing when cap is 0). Answers the
 * whole length without the NUL. */
MQB_API size_t mqb_last_error_copy(char *out, size_t cap);

/* --- configuration: one namespace of dotted keys ---------------------------
 *
 * All settings are text under dotted keys from one table: docs/configuration.md is made from it,
 * mqb_config_describe enumerates it. Members of lists have names, not numbers:
 * "listener.main.url". Sources are applied in the order of the calls; later ones override. */

/* Realloc-style: ptr NULL and old_size 0 allocate, new_size 0 frees (and answers NULL). Called from
 * many threads at once. NULL: out of memory. */
typedef struct {
    void *(*fn)(void *arg, void *ptr, size_t old_size, size_t new_size);
    void *arg;
} mqb_allocator;

/* [any] An empty set: every key has its default. */
MQB_API mqb_err mqb_config_new(mqb_config **out);

/* [any] The same with an allocator, which brokers made from it use for all their memory as well
 * (libuv and OpenSSL keep theirs). NULL: the C library's. `*a` is referred to, not copied, and must
 * live until everything made from it is freed: configurations, brokers, and the messages they
 * gave out. */
MQB_API mqb_err mqb_config_new_with(const mqb_allocator *a, mqb_config **out);

/* [owner] NULL is fine. Brokers made from it do not need it. */
MQB_API void mqb_config_free(mqb_config *cfg);

/* [owner] Sets one key. The value is checked against the type and range of the key.
 * MQB_ECONFIG: unknown key (the sentence offers the nearest one) or bad value. */
MQB_API mqb_err mqb_config_set(mqb_config *cfg, const char *key, const char *value);

/* [owner] The same from "key=value", as on a command line. MQB_EINVAL: no '='. */
MQB_API mqb_err mqb_config_set_pair(mqb_config *cfg, const char *pair);

/* [owner] Back to the default. MQB_ECONFIG: unknown key. */
MQB_API mqb_err mqb_config_unset(mqb_config *cfg, const char *key);

/* [owner] Reads a file in libconfig's format; its groups become dots: `queue: { max_messages = 500;
 * };` is queue.max_messages. All or nothing. MQB_ESYS: cannot be read; MQB_ECONFIG: the first
 * fault, with "FILE:LINE:" in front. Paths inside are relative to the working directory of the
 * process. */
MQB_API mqb_err mqb_config_load(mqb_config *cfg, const char *path);

/* [owner] The same from text; `name` stands in error messages. */
MQB_API mqb_err mqb_config_load_text(mqb_config *cfg, const char *name, const char *text);

/* [owner] Takes every environment variable that begins with `prefix` (NULL: "MQTTBROKER_"): the
 * rest in lower case, "__" read as ".": MQTTBROKER_QUEUE__MAX_MESSAGES=500. All or nothing;
 * MQB_ECONFIG names the variable. */
MQB_API mqb_err mqb_config_load_env(mqb_config *cfg, const char *prefix);

/* [owner] The value in force, default included; NULL for an unknown key, and for a list member's
 * key when there is no such member. Lives until the configuration changes. */
MQB_API const char *mqb_config_get(const mqb_config *cfg, const char *key);

/* [owner] Calls fn for every key that is set, sorted; `source` says where: "broker.conf:12",
 * "MQTTBROKER_THREADS", "set". fn must not change cfg; false ends the walk. */
typedef bool (*mqb_config_each_fn)(void *arg, const char *key, const char *value,
                                   const char *source);
MQB_API void mqb_config_each(const mqb_config *cfg, mqb_config_each_fn fn, void *arg);

/* [owner] Whether a broker would take it: what concerns several keys at once, such as a certificate
 * without a key. Opens no file and no socket. MQB_ECONFIG. */
MQB_API mqb_err mqb_config_check(const mqb_config *cfg);

/* One row of the table; all texts are static. In `name` a part "*" stands for a member's name. */
typedef struct {
    uint32_t struct_size;
    uint32_t needs_restart; /* 1: a reload that changes it is refused */
    const char *name;       /* "queue.max_messages" */
    const char
        *type; /* "int", "size", "duration", "bool", "string", "path", "never|loopback|always" */
    const char *range; /* "1..65535", "0..64|auto", of texts the length; "": any */
    const char *def;   /* the default as text, "" none */
    const char *help;
} mqb_config_key;

/* [any] Row i, from 0. The caller sets struct_size. MQB_ENOENT behind the last. */
MQB_API mqb_err mqb_config_describe(size_t i, mqb_config_key *out);

/* --- log ------------------------------------------------------------------- */

enum { MQB_LOG_ERROR = 1, MQB_LOG_WARN = 2, MQB_LOG_INFO = 3, MQB_LOG_DEBUG = 4 };

/* One line without a newline, as log.format says (text or JSON), NUL-terminated; `line` lives until
 * the function returns. Called on any thread, on several at once. It must not block for long, and
 * must not call the broker. Repeated lines are limited: log.burst. */
typedef void (*mqb_log_fn)(void *arg, int32_t level, const char *line, size_t len);

/* [owner] Where brokers made from this configuration log to. NULL (the default): nowhere. A reload
 * does not change it. */
MQB_API void mqb_config_set_log(mqb_config *cfg, mqb_log_fn fn, void *arg);

/* --- life ------------------------------------------------------------------ */

/* [any] Makes a broker; no I/O, no threads. MQB_ECONFIG as mqb_config_check. */
MQB_API mqb_err mqb_broker_new(const mqb_config *cfg, mqb_broker **out);

/* [owner][blocking] Starts the workers and opens all listeners; returns when they accept. On an
 * error nothing runs, and start may be tried again. MQB_ESTATE: started already. MQB_ESYS: threads,
 * or an address: the sentence names address, call and cause. MQB_ETLS: a certificate or key. */
MQB_API mqb_err mqb_broker_start(mqb_broker *b);

/* [owner][blocking] Listeners close, reading stops, what is under way is answered, each client gets
 * DISCONNECT 0x8B (Server shutting down) and up to grace_ms (-1: stop.grace) to take what is
 * unsent; then connections close and threads end. In-process handles and subscriptions end:
 * arg_free and done callbacks have all run when this returns. Listeners of mqb_listen are opened
 * again by the next start. Sessions and retained messages live on in a store only. MQB_ESTATE: not
 * started. Any other answer: it is stopped all the same. */
MQB_API mqb_err mqb_broker_stop(mqb_broker *b, int64_t grace_ms);

/* [owner][blocking] Stops with no grace if it still runs. NULL is fine. Handles that are still open
 * are freed with it; messages the host holds live on. In a callback it does nothing. */
MQB_API void mqb_broker_free(mqb_broker *b);

/* [owner][blocking] Takes a new configuration, all or nothing. Listeners of the configuration are
 * compared by name: new ones open, missing ones close (their connections stay), changed ones are
 * updated in place or, for a new address, opened anew. MQB_ECONFIG: as mqb_config_check, or a key
 * that needs a restart has changed: the sentence names it. MQB_ESYS, MQB_ETLS: a listener;
 * everything is as before. Before start it replaces the configuration, restart keys too. */
MQB_API mqb_err mqb_broker_reload(mqb_broker *b, const mqb_config *cfg);

/* [any] Between a start that succeeded and the stop. */
MQB_API bool mqb_broker_is_running(const mqb_broker *b);

/* With threads = 0 the broker has no network thread: the host polls one file descriptor for
 * reading, at most as long as mqb_broker_timeout says (a timer that is due does not make the
 * descriptor readable), then calls mqb_broker_step:
 *
 *     struct pollfd p = {mqb_broker_fd(b), POLLIN, 0};
 *     poll(&p, 1, (int)mqb_broker_timeout(b));
 *     mqb_broker_step(b, 0);
 */

/* [loop] -1 unless started with threads = 0. Stays the same from start to stop. */
MQB_API int mqb_broker_fd(const mqb_broker *b);

/* [loop] Milliseconds until something is due, 0 now, -1 no limit. */
MQB_API int64_t mqb_broker_timeout(const mqb_broker *b);

/* [loop] Does what there is to do, after waiting at most wait_ms for it (0: not at all, -1: without
 * limit). MQB_ESTATE: not started, not with threads = 0, or called within itself. */
MQB_API mqb_err mqb_broker_step(mqb_broker *b, int64_t wait_ms);

/* --- plugins ---------------------------------------------------------------
 *
 * Who may connect, publish and subscribe is decided by plugins (mqttbroker_plugin.h). They are
 * asked in the order they were loaded, those of the configuration (plugin.NAME.path) last, in the
 * order of their names. Each start calls their init, each stop their fini. */

/* [owner] Loads one from a shared object: an absolute path, or a file in plugin.folder. Before the
 * start; it stays over restarts. MQB_EPLUGIN: the sentence names path, reason and both ABI
 * versions; MQB_EEXIST: there is one of its name; MQB_ESTATE: the broker runs; MQB_EQUOTA: 32. */
MQB_API mqb_err mqb_plugin_load(mqb_broker *b, const char *path);

/* [owner] Adds one that is linked in, not copied; the same errors. */
struct mqb_plugin;
MQB_API mqb_err mqb_plugin_add(mqb_broker *b, const struct mqb_plugin *plugin);

/* --- tenants ---------------------------------------------------------------
 *
 * A tenant is a world of its own: client ids, topics, retained messages and shared subscriptions of
 * different tenants never meet. 0 is the default tenant. */

/* [any] The number of a tenant's name, drawn at the first call; "" is 0. Numbers mean the same
 * until the broker is freed. MQB_EINVAL: over 128 bytes or not UTF-8; MQB_EQUOTA:
 * limits.max_tenants. */
MQB_API mqb_err mqb_tenant(mqb_broker *b, const char *name, uint32_t *out);

/* --- listeners ------------------------------------------------------------- */

/* Who may connect without a plugin that lets him in. */
enum {
    MQB_ANONYMOUS_DEFAULT = 0, /* MQB_ANONYMOUS_LOOPBACK */
    MQB_ANONYMOUS_NEVER = 1,
    MQB_ANONYMOUS_LOOPBACK = 2, /* peers at 127.0.0.0/8 and ::1, and on Unix sockets */
    MQB_ANONYMOUS_ALWAYS = 3
};

enum { MQB_CLIENT_CERT_NONE = 0, MQB_CLIENT_CERT_OPTIONAL = 1, MQB_CLIENT_CERT_REQUIRED = 2 };

enum {
    MQB_LISTEN_FD = 1u << 0,       /* `fd` is an open listening socket */
    MQB_LISTEN_IPV6_ONLY = 1u << 1 /* do not accept IPv4 on an IPv6 address */
};

typedef struct {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t tenant;          /* of all its clients */
    uint32_t anonymous;       /* MQB_ANONYMOUS_... */
    uint32_t max_connections; /* 0: no limit of its own */
    uint32_t client_cert;     /* MQB_CLIENT_CERT_... */
    int32_t backlog;          /* 0: 1024 */
    int32_t fd;               /* with MQB_LISTEN_FD; the broker's on success */
    const char *name;         /* NULL: made from the URL */
    const char *mountpoint;   /* NULL: none; else put before every topic of its clients: "site1/" */
    const char *tls_cert;     /* files, PEM; the chain with the certificate first */
    const char *tls_key;
    const char *tls_ca;           /* who may sign client certificates */
    const char *tls_min_version;  /* "1.2" (also NULL), "1.3" */
    const char *tls_ciphers;      /* TLS 1.2, OpenSSL's notation; NULL: its default */
    const char *tls_ciphersuites; /* TLS 1.3 */
    void *tls_ctx; /* an SSL_CTX of the host's instead of the files; counted up, not copied */
} mqb_listen_opts;

static inline mqb_listen_opts mqb_listen_defaults(void)
{
    mqb_listen_opts o;
    memset(&o, 0, sizeof(o));
    o.struct_size = sizeof(o);
    return o;
}

/* [owner][blocking] Adds a listener: mqtt://HOST:PORT, mqtts://HOST:PORT (TLS), unix:///PATH; HOST
 * an IPv4 address, an [IPv6] one, a name, or * for all; PORT 0 lets the system choose. Before start
 * it is opened by start; while running it accepts when this returns. opts and out may be NULL.
 * MQB_EINVAL: URL or options; MQB_EEXIST: the name is taken; MQB_ESYS: the sentence names address,
 * call and cause; MQB_ETLS. */
MQB_API mqb_err mqb_listen(mqb_broker *b, const char *url, const mqb_listen_opts *opts,
                           mqb_listener *out);

/* [owner][blocking] Closes it; its connections stay. MQB_ENOENT. */
MQB_API mqb_err mqb_listener_close(mqb_broker *b, mqb_listener l);

/* [owner] By name, those of the configuration included: "main" for listener.main.url. MQB_ENOENT.
 */
MQB_API mqb_err mqb_listener_find(mqb_broker *b, const char *name, mqb_listener *out);

/* [owner] The port it listens on, chosen by the system or not; 0: not open, or no IP listener. */
MQB_API uint16_t mqb_listener_port(const mqb_broker *b, mqb_listener l);

/* [owner][blocking] Hands over a connected stream socket that the host has accepted. On MQB_OK the
 * descriptor is the broker's (also when the peer has gone); on an error it stays the caller's. Of
 * opts name, tenant, anonymous, mountpoint and TLS count; NULL: defaults, no TLS. MQB_ESTATE: not
 * running; MQB_EINVAL: not a stream socket; MQB_ETLS; MQB_ESYS. */
MQB_API mqb_err mqb_adopt_fd(mqb_broker *b, int fd, const mqb_listen_opts *opts);

/* --- in-process handles ----------------------------------------------------
 *
 * A handle is a client without a socket. Its calls take effect in the order they are made: who
 * subscribes and then publishes receives the message. Where a handle may be NULL, the tenant's
 * default one is meant, called "$host". */

/* An outcome: 0 or an error. Called once for every call that answered MQB_OK, unless said
 * otherwise. */
typedef void (*mqb_done_fn)(void *arg, mqb_err err);

enum {
    MQB_LOCAL_DURABLE = 1u << 0,    /* the session outlives the handle by session_expiry_s */
    MQB_LOCAL_CLEAN_START = 1u << 1 /* drops what an earlier session of this name left */
};

typedef struct {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t tenant;
    uint32_t session_expiry_s; /* with MQB_LOCAL_DURABLE; 0: session.expiry_v3 */
    mqb_done_fn opened;        /* may be NULL. MQB_EEXIST: a client or handle has this name */
    void *opened_arg;
} mqb_local_opts;

static inline mqb_local_opts mqb_local_defaults(void)
{
    mqb_local_opts o;
    memset(&o, 0, sizeof(o));
    o.struct_size = sizeof(o);
    return o;
}

/* [any] Opens a handle under a client id. It may be used at once; opts->opened tells how it went.
 * With MQB_EEXIST (an open handle, or the session of a client, has this name) nothing done with it
 * has an effect. opts may be NULL. Close it with mqb_local_close, also after the broker has
 * stopped; not after mqb_broker_free, which frees it. MQB_EINVAL: name empty, not UTF-8, longer
 * than limits.max_client_id, or beginning with '$'; MQB_ESTATE: not running. */
MQB_API mqb_err mqb_local_open(mqb_broker *b, const char *name, const mqb_local_opts *opts,
                               mqb_local **out);

/* [any] Ends its subscriptions (their arg_free run) and frees it: not to be used any more when this
 * returns, though callbacks already under way may still run. NULL is fine. */
MQB_API void mqb_local_close(mqb_local *l);

/* --- publish --------------------------------------------------------------- */

enum {
    MQB_PUB_RETAIN =
        1u << 0, /* keep it for later subscribers; an empty payload removes [MQTT-3.3.1-6] */
    MQB_PUB_NO_ACL = 1u << 1,   /* access rules are not asked */
    MQB_PUB_NO_HOOKS = 1u << 2, /* filters do not see it */
    MQB_PUB_UTF8 = 1u << 3      /* Payload Format Indicator 1: the payload is text */
};

typedef struct {
    mqb_str name;
    mqb_str value;
} mqb_user_property;

/* Frees a payload; any thread, under no lock. */
typedef void (*mqb_free_fn)(void *arg, const void *payload, size_t len);

typedef struct {
    uint32_t struct_size;
    uint32_t flags;    /* MQB_PUB_... */
    uint32_t tenant;   /* when local is NULL */
    uint32_t qos;      /* 0, 1, 2 */
    uint32_t expiry_s; /* Message Expiry Interval, 0: none */
    uint32_t user_property_count;
    mqb_local *local; /* NULL: the tenant's default handle */
    mqb_str topic;
    const void *payload;
    size_t payload_len;
    mqb_str content_type;   /* properties of MQTT 5; empty: none */
    mqb_str response_topic; /* [MQTT-3.3.2-14] no wildcards */
    mqb_str correlation_data;
    const mqb_user_property *user_properties; /* kept in this order [MQTT-3.3.2-18] */
    mqb_free_fn free_fn; /* NULL: the payload is copied. Else it is referred to, see below */
    void *free_arg;
    mqb_done_fn done; /* may be NULL: called when a PUBACK (QoS 2: PUBREC) would have been sent */
    void *done_arg;
} mqb_publish_opts;

static inline mqb_publish_opts mqb_publish_defaults(void)
{
    mqb_publish_opts o;
    memset(&o, 0, sizeof(o));
    o.struct_size = sizeof(o);
    return o;
}

/* [any] Publishes through the default handle of tenant 0, copying the payload. MQB_EINVAL: a topic
 * that is empty, not UTF-8, over limits, or has a wildcard [MQTT-3.3.2-2], a QoS over 2, a payload
 * over limits.max_packet_size; MQB_ESTATE: not running; MQB_EAGAIN: the worker's inbox is full:
 * nothing has happened, try again later. */
MQB_API mqb_err mqb_publish(mqb_broker *b, const char *topic, const void *payload, size_t len,
                            int qos, uint32_t flags);

/* [any] The long form; the same errors, of properties too. With free_fn the payload is not copied:
 * it must stay as it is until free_fn is called, once, when the last receiver has been served; what
 * has to wait (retained, queued, a slow connection) is copied before. On an error free_fn is not
 * called, nor is done. done gets MQB_OK, MQB_EDENIED (access rules), MQB_EQUOTA, MQB_ENOMEM, or
 * MQB_ECANCELED (stopped). */
MQB_API mqb_err mqb_publish_ex(mqb_broker *b, const mqb_publish_opts *opts);

/* [blocking] Publishes and waits until done would be called; opts->done is called, too. timeout_ms
 * -1: without limit. MQB_ETIMEDOUT: not known; the message is on its way. With threads = 0:
 * MQB_ESTATE. */
MQB_API mqb_err mqb_publish_wait(mqb_broker *b, const mqb_publish_opts *opts, int64_t timeout_ms);

/* --- subscribe ------------------------------------------------------------- */

/* What a delivery is, beside its message. */
typedef struct {
    uint32_t struct_size;
    uint32_t qos;          /* of this delivery: the lower of the message's and the subscription's */
    uint32_t retain;       /* 1: the RETAIN flag is set [MQTT-3.3.1-12], [MQTT-3.3.1-13] */
    uint32_t expires_in_s; /* seconds left; UINT32_MAX: never */
    uint32_t identifier_count; /* subscription identifiers that match */
    uint32_t reserved;
    const uint32_t *identifiers;
    mqb_sub sub;
} mqb_delivery;

enum { MQB_DELIVER_DONE = 0, MQB_DELIVER_LATER = 1 };

/* Takes a message. MQB_DELIVER_DONE: it is dealt with. MQB_DELIVER_LATER: the host now holds a
 * reference to m and gives it back with mqb_deliver_done; until then the delivery occupies the
 * window of the subscription, and at QoS 1 and 2 of a durable handle it is delivered again after a
 * restart. */
typedef int (*mqb_message_fn)(void *arg, mqb_broker *b, mqb_msg *m, const mqb_delivery *d);

typedef void (*mqb_arg_free_fn)(void *arg);

enum {
    MQB_SUB_NO_LOCAL = 1u << 0,            /* not what this handle publishes [MQTT-3.8.3-3] */
    MQB_SUB_RETAIN_AS_PUBLISHED = 1u << 1, /* keep the RETAIN flag as it was published */
    MQB_SUB_NO_ACL = 1u << 2               /* access rules are not asked */
};

/* Retain handling [MQTT-3.3.1-9] to [MQTT-3.3.1-11]. */
enum {
    MQB_RETAIN_SEND = 0,        /* retained messages at every subscribe */
    MQB_RETAIN_SEND_IF_NEW = 1, /* only when there was no such subscription */
    MQB_RETAIN_DO_NOT_SEND = 2
};

typedef struct {
    uint32_t struct_size;
    uint32_t flags;  /* MQB_SUB_... */
    uint32_t tenant; /* when local is NULL */
    uint32_t qos;
    uint32_t retain_handling;
    uint32_t identifier; /* 1..268435455, told with each delivery; 0: none */
    uint32_t window;     /* deliveries that may be LATER at once; 0: session.max_inflight */
    uint32_t reserved;
    mqb_local *local;   /* NULL: the tenant's default handle */
    const char *filter; /* "a/+/#", "$share/GROUP/a/#" */
    mqb_message_fn fn;
    void *arg;
    mqb_arg_free_fn arg_free; /* may be NULL: called with arg, once, after the last call of fn */
    mqb_done_fn done; /* may be NULL: MQB_OK when it is in force (SUBACK), else it is over */
    void *done_arg;
} mqb_subscribe_opts;

static inline mqb_subscribe_opts mqb_subscribe_defaults(void)
{
    mqb_subscribe_opts o;
    memset(&o, 0, sizeof(o));
    o.struct_size = sizeof(o);
    return o;
}

/* [any] Subscribes through the default handle of tenant 0. out may be NULL; it is set before fn can
 * run. Every subscription has its own callback, window and queue: the same filter twice is
 * delivered twice. MQB_EINVAL: filter [MQTT-4.7.1-1], [MQTT-4.8.2-1], or QoS; MQB_ESTATE: not
 * running; MQB_EAGAIN: the inbox is full. */
MQB_API mqb_err mqb_subscribe(mqb_broker *b, const char *filter, int qos, mqb_message_fn fn,
                              void *arg, mqb_sub *out);

/* [any] The long form; the same errors, and MQB_EINVAL for no-local on a shared subscription
 * [MQTT-3.8.3-4]; on an error of the call neither done nor arg_free is called. done gets MQB_OK,
 * MQB_EDENIED, MQB_EQUOTA (limits.max_subscriptions), MQB_EEXIST (a handle is in a shared
 * subscription once only), MQB_ENOMEM or MQB_ECANCELED; after an error arg_free follows it. A
 * durable handle that was opened again subscribes again, with the same filter, to get what was kept
 * for it. */
MQB_API mqb_err mqb_subscribe_ex(mqb_broker *b, const mqb_subscribe_opts *opts, mqb_sub *out);

/* [blocking] Subscribes and waits until it is in force; the error done would get is the answer.
 * timeout_ms -1: without limit. MQB_ETIMEDOUT: not known yet; *out is valid. With threads = 0:
 * MQB_ESTATE. */
MQB_API mqb_err mqb_subscribe_wait(mqb_broker *b, const mqb_subscribe_opts *opts,
                                   int64_t timeout_ms, mqb_sub *out);

/* [any] Ends a delivery that was MQB_DELIVER_LATER and opens the window by one. The reference to m
 * is given back, also on an error (but MQB_ENOMEM: nothing has happened, try again). MQB_ENOENT:
 * the subscription is over; MQB_ESTATE: not running. (After mqb_broker_free use mqb_msg_unref.) */
MQB_API mqb_err mqb_deliver_done(mqb_broker *b, mqb_sub sub, mqb_msg *m);

/* [any] Ends a subscription. Returns at once: fn may still be running, or run for what is under
 * way; arg_free says when it is over. MQB_ENOENT: it is over, or being ended, already; MQB_ESTATE:
 * not running. */
MQB_API mqb_err mqb_unsubscribe(mqb_broker *b, mqb_sub sub);

/* [blocking] Returns when fn will not run any more and arg_free has. With threads = 0: MQB_ESTATE.
 */
MQB_API mqb_err mqb_unsubscribe_wait(mqb_broker *b, mqb_sub sub);

/* --- messages --------------------------------------------------------------
 *
 * Views into a message live as long as the message. A message may outlive its broker. */

MQB_API mqb_str mqb_msg_topic(const mqb_msg *m);   /* [any] */
MQB_API mqb_str mqb_msg_payload(const mqb_msg *m); /* [any] */
MQB_API uint32_t mqb_msg_qos(const mqb_msg *m);    /* [any] as published */
MQB_API bool mqb_msg_retain(const mqb_msg *m);     /* [any] as published */
MQB_API uint32_t mqb_msg_tenant(const mqb_msg *m); /* [any] */
MQB_API uint32_t
mqb_msg_expiry(const mqb_msg *m); /* [any] seconds as published; UINT32_MAX: never */

/* [any] Properties of MQTT 5; empty (ptr NULL) when the publisher sent none. */
MQB_API mqb_str mqb_msg_content_type(const mqb_msg *m);
MQB_API mqb_str mqb_msg_response_topic(const mqb_msg *m);
MQB_API mqb_str mqb_msg_correlation_data(const mqb_msg *m);
MQB_API bool mqb_msg_is_utf8(const mqb_msg *m); /* Payload Format Indicator is 1 */

/* [any] Walks the user properties in order: start with *pos = 0; false at the end. */
MQB_API bool mqb_msg_user_property(const mqb_msg *m, uint32_t *pos, mqb_user_property *out);

/* [any] Counts it up, to keep it beyond the callback; answers m. */
MQB_API mqb_msg *mqb_msg_ref(mqb_msg *m);

/* [any] Gives one reference back. NULL is fine. */
MQB_API void mqb_msg_unref(mqb_msg *m);

/* --- clients --------------------------------------------------------------- */

/* A session and its connection, if it has one; texts live during the call. */
typedef struct {
    uint32_t struct_size;
    uint32_t tenant;
    uint32_t protocol; /* 3, 4, 5 of the last connection; 0: an in-process handle */
    uint32_t is_connected;
    mqb_client client;
    uint64_t connection; /* the connection's number, 0: none */
    mqb_str client_id;
    mqb_str user_name;
    mqb_str address;       /* "127.0.0.1:53122" */
    mqb_str listener;      /* its name */
    uint64_t connected_ms; /* milliseconds since 1970 */
    uint64_t msgs_in, msgs_out, bytes_in, bytes_out;
    uint64_t queued, queued_bytes, inflight, subscriptions, dropped;
} mqb_client_info;

/* Gets clients, then NULL once, as the last call. False: no more of them (NULL still comes).
 * Between workers clients come and go: a client is seen once at most, one that is there all the
 * time exactly once. */
typedef bool (*mqb_client_fn)(void *arg, const mqb_client_info *info);

/* [any] Looks for one client id, the session without a connection included; fn gets it, or nothing,
 * and then NULL. MQB_ESTATE: not running; MQB_EAGAIN. */
MQB_API mqb_err mqb_client_find(mqb_broker *b, uint32_t tenant, const char *client_id,
                                mqb_client_fn fn, void *arg);

/* [blocking] The same, and waits. *out gets the ids of the client and of its connection; connection
 * may be NULL. MQB_ENOENT; MQB_ESTATE also with threads = 0. */
MQB_API mqb_err mqb_client_find_wait(mqb_broker *b, uint32_t tenant, const char *client_id,
                                     mqb_client *out, uint64_t *connection);

#define MQB_ALL_TENANTS UINT32_MAX

/* [any] All clients of a tenant, or of MQB_ALL_TENANTS. MQB_ESTATE, MQB_EAGAIN. */
MQB_API mqb_err mqb_client_each(mqb_broker *b, uint32_t tenant, mqb_client_fn fn, void *arg);

enum { MQB_KICK_DROP_SESSION = 1u << 0 }; /* end the session too, connected or not */

/* [any] Closes a client's connection; reason is the code of the DISCONNECT it gets first if it
 * speaks MQTT 5, 0 meaning 0x98 (Administrative action). `connection` 0: whichever is open; else
 * only that one, so that a client that has just come back is left alone. Returns at once; that a
 * client is gone already is no error, and in-process handles are left alone. MQB_EINVAL: no client,
 * a reason 1..0x7F, unknown flags; MQB_ESTATE: not running. */
MQB_API mqb_err mqb_client_kick(mqb_broker *b, mqb_client c, uint64_t connection, uint8_t reason,
                                uint32_t flags);

/* --- metrics --------------------------------------------------------------- */

enum { MQB_COUNTER = 0, MQB_GAUGE = 1 };

typedef struct {
    const char *name; /* "messages_received"; a plugin's lives until the broker is started again */
    const char *help; /* static */
    uint32_t kind;    /* MQB_COUNTER only grows from start to stop, MQB_GAUGE goes up and down */
    uint32_t reserved;
    uint64_t value;
} mqb_metric;

/* [any] A snapshot, added up over the workers: fills at most cap entries, always in the same order,
 * and answers how many there are. Values are 0 unless the broker runs. */
MQB_API size_t mqb_metrics(mqb_broker *b, mqb_metric *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
