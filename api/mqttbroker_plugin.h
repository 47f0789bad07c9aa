/* SPDX-License-Identifier: MIT */
/*
 * mqttbroker_plugin.h - the binary contract between the broker and its plugins.
 *
 *     static uint32_t connect(void *self, const mqb_connect *q, mqb_answer *a)
 *     {
 *         return mqb_str_is(q->who->user_name, "ann") ? MQB_ALLOW : MQB_PASS;
 *     }
 *     static const mqb_cap_auth auth = {sizeof(auth), MQB_RUN_LOOP, connect};
 *     static const void *capability(void *self, const char *id)
 *     {
 *         return strcmp(id, MQB_CAP_AUTH) == 0 ? &auth : NULL;
 *     }
 *     static const mqb_plugin plugin = {.struct_size = sizeof(plugin), .abi = MQB_ABI,
 *                                       .name = "hello", .version = "1.0",
 *                                       .capability = capability};
 *     MQB_PLUGIN_EXPORT const mqb_plugin *mqb_plugin_entry(uint32_t host_abi)
 *     {
 *         return &plugin;
 *     }
 *
 * Form     A plugin is a shared object that exports one function, mqb_plugin_entry, or the same
 *          code linked in and given to mqb_plugin_add. It links against nothing: the broker hands
 *          it a table of services (mqb_host). Of mqttbroker.h it uses types, constants and inline
 *          functions only. It is never unloaded before the process ends.
 *
 * Growth   Every structure begins with its size and grows at its end only; a field behind that size
 *          reads as zero (MQB_HAS). Capabilities have a number in their id: a redesign is a new id
 *          beside the old. Ids that end in /0 are experiments and may change with each release.
 *          Plugins and host of the same MQB_ABI_MAJOR work together, older or newer.
 *
 * Threads  `run`, the second field of every capability table, says where its functions are called:
 *          MQB_RUN_SERIAL on one thread of the plugin's own, one call at a time; MQB_RUN_POOL on a
 *          few threads shared by all plugins, several calls at once; MQB_RUN_LOOP on each of the
 *          broker's network threads, several at once, and there nothing may block: all clients of
 *          that thread wait. Life calls (init, reload, stop, fini) come one at a time, on the
 *          thread that starts, reloads or stops the broker. What concerns one connection is never
 *          in two calls at once, but may come from different threads.
 *          Services are [any]: any thread, at any time from init to the return of fini, unless they
 *          say otherwise.
 *
 * Memory   What a call is given lives until it returns. What a plugin writes into an answer is
 *          copied after the call has returned: constants, the plugin's own memory, or
 *          mqb_host.scratch will do, variables of the function will not. Texts are not
 *          NUL-terminated, unless they are `const char *`.
 *
 * Errors   0 (MQB_OK) or a negative MQB_E... of mqttbroker.h. Denial is 0: an answer that was
 *          forgotten, or is all zeros, never lets anyone in.
 */
#ifndef MQTTBROKER_PLUGIN_H
#define MQTTBROKER_PLUGIN_H

#include <mqttbroker.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MQB_ABI_MAJOR 1u /* changes when an old plugin could misbehave */
#define MQB_ABI_MINOR 0u /* counts additions */
#define MQB_ABI (MQB_ABI_MAJOR << 16 | MQB_ABI_MINOR)

#if defined(_WIN32)
#define MQB_PLUGIN_EXPORT __declspec(dllexport)
#else
#define MQB_PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

/* Whether the structure the other side gave is long enough to have `field`. */
#define MQB_HAS(type, ptr, field)                                                                  \
    ((ptr)->struct_size >= offsetof(type, field) + sizeof(((type *)0)->field))

static inline uint32_t mqb_str_is(mqb_str s, const char *text)
{
    size_t len = strlen(text);
    return s.len == len && (len == 0 || memcmp(s.ptr, text, len) == 0);
}

/* --- who ------------------------------------------------------------------- */

enum {
    MQB_WHO_HAS_USER_NAME = 1u << 0,
    MQB_WHO_IS_LOOPBACK = 1u << 1, /* the peer is on this machine */
    MQB_WHO_IS_TLS = 1u << 2,
    MQB_WHO_IS_LOCAL = 1u << 3 /* an in-process handle: no connection */
};

/* Whom a question is about. */
typedef struct {
    uint32_t struct_size;
    uint32_t flags; /* MQB_WHO_... */
    uint32_t tenant;
    uint32_t protocol;   /* 3, 4, 5; 0: an in-process handle */
    mqb_client client;   /* the session; 0 while it connects */
    uint64_t connection; /* the connection's number, 0: none */
    mqb_str client_id;
    mqb_str user_name;        /* as authenticated; while it connects, as sent */
    mqb_str attributes;       /* from the answer to its CONNECT: name, NUL, value, NUL, ... */
    mqb_str address;          /* "127.0.0.1:53122" */
    mqb_str listener;         /* its name */
    mqb_str cert_common_name; /* of a verified client certificate */
    mqb_str cert_subject;
    mqb_str server_name; /* SNI */
} mqb_principal;

/* The value of an attribute; ptr NULL when there is none. */
static inline void mqb_attribute(const mqb_principal *who, const char *name, mqb_str *out)
{
    size_t at = 0, name_len = strlen(name);
    memset(out, 0, sizeof(*out));
    while (at < who->attributes.len) {
        const char *key = who->attributes.ptr + at;
        size_t key_len = strlen(key);
        const char *value = key + key_len + 1;
        if (key_len == name_len && memcmp(key, name, name_len) == 0) {
            out->ptr = value;
            out->len = strlen(value);
            return;
        }
        at += key_len + 1 + strlen(value) + 1;
    }
}

/* --- answers --------------------------------------------------------------- */

/* What functions that are asked return. */
enum {
    MQB_DENY = 0, /* also the answer when a backend fails */
    MQB_ALLOW = 1,
    MQB_PASS = 2,    /* ask the next plugin; when all pass, it is denied */
    MQB_PENDING = 3, /* ticket_take was called, ticket_complete follows */
    MQB_CONTINUE = 4 /* enhanced authentication: one more round */
};

/* Actions, as numbers of mqb_access and as bits (MQB_ACTION_BIT) of permissions and capabilities.
 */
enum {
    MQB_ACTION_PUBLISH = 1,
    MQB_ACTION_SUBSCRIBE = 2,
    MQB_ACTION_RECEIVE = 3,
    MQB_ACTION_WILL = 4
};
#define MQB_ACTION_BIT(action) (1u << (action))

/* A rule the host applies itself: it costs no call. The first rule that speaks of an access
 * decides. Zero in a field means all. */
typedef struct {
    uint32_t struct_size;
    uint32_t allow;   /* 0: deny */
    uint32_t actions; /* MQB_ACTION_BITs */
    uint32_t qos;     /* bit q: QoS q */
    uint32_t retain;  /* bit 0: RETAIN 0, bit 1: RETAIN 1 */
    uint32_t exact;   /* 1: `topic` is compared as text, wildcards in it mean nothing */
    mqb_str topic;    /* a filter. Of a subscription: one that covers it */
} mqb_permission;

/* What holds for accesses that no permission speaks of. */
enum { MQB_REST_ASK = 0, MQB_REST_ALLOW = 1, MQB_REST_DENY = 2 };

/* Limits of one client; 0: the configured one. They may only be narrower than configured where the
 * client was told already. */
typedef struct {
    uint32_t struct_size;
    uint32_t queue_max_messages;
    uint64_t queue_max_bytes;
    uint32_t max_subscriptions;
    uint32_t max_packet_size;
    uint32_t receive_maximum;
    uint32_t max_inflight;
} mqb_limits;

enum {
    /* A denied publish or subscribe ends the connection, instead of being answered with the reason
     * code. */
    MQB_ANSWER_DISCONNECT = 1u << 0,
    MQB_ANSWER_SESSION_EXPIRY = 1u << 1 /* session_expiry_max_s counts */
};

/* Given zeroed, but for struct_size, to the function that is asked, which fills in what it wants to
 * say beside the verdict it returns; or filled in by the plugin for ticket_complete. */
typedef struct {
    uint32_t struct_size;
    uint32_t verdict;  /* for ticket_complete; what a function returns counts instead */
    uint32_t reason;   /* of a denial: MQTT 5 reason code >= 0x80; 0: the usual one */
    uint32_t flags;    /* MQB_ANSWER_... */
    uint32_t cache_ms; /* access: the host may use this answer so long for the same client, action,
                          topic, QoS and RETAIN; 0: ask again */
    /* The rest is read from answers that let a client in (auth and eauth). */
    uint32_t session_expiry_max_s;
    uint32_t permission_count;
    uint32_t permission_rest; /* MQB_REST_... */
    const mqb_permission *const *permissions;
    const mqb_limits *limits; /* NULL: the configured ones */
    uint64_t expires_at_ms;   /* since 1970: the connection ends then with 0x87; 0: never */
    mqb_str user_name;        /* ptr NULL: as sent. The authenticated identity */
    mqb_str tenant;           /* ptr NULL: the listener's. A name; "" is the default tenant */
    mqb_str mountpoint;       /* ptr NULL: the listener's */
    mqb_str attributes;       /* name, NUL, value, NUL, ... */
    mqb_str auth_data;        /* eauth: to the client */
    mqb_str reason_text;      /* of a denial: for the log, and the client's Reason String */
} mqb_answer;

/* --- the host's services --------------------------------------------------- */

typedef struct mqb_host mqb_host;
typedef uint64_t mqb_ticket; /* one question that waits for its answer; 0 is none */

/* A message of the plugin's. */
typedef struct {
    uint32_t struct_size;
    uint32_t flags; /* MQB_PUB_... of mqttbroker.h */
    uint32_t tenant;
    uint32_t qos;
    uint32_t expiry_s; /* 0: none */
    uint32_t reserved;
    mqb_str topic;
    mqb_str payload; /* copied */
} mqb_plugin_publish;

struct mqb_host {
    uint32_t struct_size;
    uint32_t abi; /* MQB_ABI of the host */

    /* One line into the broker's log, with the plugin's name; level is a MQB_LOG_... */
    void (*log)(const mqb_host *h, int32_t level, const char *line, size_t len);
    /* The host's allocator, realloc-style as mqb_allocator. What is left at fini is the plugin's
     * leak. */
    void *(*alloc)(const mqb_host *h, void *ptr, size_t old_size, size_t new_size);
    uint64_t (*now_ms)(const mqb_host *h);  /* monotonic */
    uint64_t (*wall_ms)(const mqb_host *h); /* since 1970 */

    /* [init, reload] The value of plugin.NAME.<key>, its default included; NULL: not set, or no key
     * of the plugin's. Lives until the call that asked for it (init or reload) returns. */
    const char *(*config)(const mqb_host *h, const char *key);

    /* A table of services of its own, by id; NULL: this host has none. None in this version. */
    const void *(*service)(const mqb_host *h, const char *id);

    /* A capability of another plugin: its table, and the self to call it with, on the caller's
     * thread; both are good until the caller's fini. `plugin` NULL: the first that offers it.
     * MQB_ENOENT. */
    mqb_err (*find)(const mqb_host *h, const char *plugin, const char *id, const void **table,
                    void **self);

    /* [inside a question] Memory that lives until the answer has been copied. NULL: out of it. */
    void *(*scratch)(const mqb_host *h, mqb_answer *a, size_t size);

    /* [inside a question] The answer will come later: then return MQB_PENDING. `a` is the answer of
     * the question. Every ticket ends: with the answer, with the connection, or at the deadline
     * (plugin.deadline), which denies. MQB_ENOMEM; MQB_ESTATE: the question cannot wait (RECEIVE),
     * or has a ticket already. */
    mqb_err (*ticket_take)(const mqb_host *h, mqb_answer *a, mqb_ticket *out);
    /* Once, from any thread, also before the question's function has returned. *a is copied; NULL
     * denies. MQB_ENOENT: too late, answered already, or nobody waits any more; nothing is wrong
     * with that. */
    mqb_err (*ticket_complete)(const mqb_host *h, mqb_ticket t, const mqb_answer *a);

    /* Drops answers kept by cache_ms: those of one client, or with id 0 everyone's. *generation
     * (may be NULL) gets the number of this change. */
    void (*forget)(const mqb_host *h, mqb_client c, uint64_t *generation);
    /* 1 when every network thread has seen that change, so that no older answer is used anywhere.
     */
    uint32_t (*is_current)(const mqb_host *h, uint64_t generation);

    /* The number of a tenant's name, as mqb_tenant. */
    mqb_err (*tenant)(const mqb_host *h, const char *name, uint32_t *out);
    /* As the broker's own functions. From inside a callback it happens later, never within.
     * MQB_ESTATE: the broker is not running, or is stopping. */
    mqb_err (*publish)(const mqb_host *h, const mqb_plugin_publish *p);
    mqb_err (*kick)(const mqb_host *h, mqb_client c, uint64_t connection, uint32_t reason,
                    uint32_t flags);
};

/* --- the plugin ------------------------------------------------------------ */

enum {
    MQB_RUN_SERIAL = 0, /* zero is the safest */
    MQB_RUN_POOL = 1,
    MQB_RUN_LOOP = 2
};

/* A configuration key of the plugin's: plugin.NAME.<name>. Keys that are not declared are refused;
 * "path" is the host's. */
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    const char *name;
    const char *def; /* NULL: none */
    const char *help;
} mqb_plugin_key;

/* Constant, and alive as long as the process: not copied. */
typedef struct mqb_plugin {
    uint32_t struct_size;
    uint32_t abi;             /* MQB_ABI it was built with */
    const char *name;         /* "auth-sqlite": letters, digits, '-' and '_', at most 64 */
    const char *version;      /* its own */
    uint32_t must_understand; /* a bit that the host does not know refuses the plugin. None yet */
    uint32_t reserved;
    const mqb_plugin_key *const *keys; /* ends with NULL; NULL: no keys */
    /* When the broker starts, before anything is asked. `h` is good until fini returns. An error
     * refuses the start; then nothing else is called. May be NULL. */
    mqb_err (*init)(const mqb_host *h, void **self);
    /* The configuration has changed: take it whole, or keep the old state and answer an error,
     * which refuses the change for everybody. Questions may be asked meanwhile. May be NULL. */
    mqb_err (*reload)(void *self);
    /* The broker stops: nothing is asked any more, every ticket has ended. Own threads should end.
     * May be NULL. */
    void (*stop)(void *self);
    /* The last call. May be NULL. */
    void (*fini)(void *self);
    /* Once for each id the host knows, after init: the capability's table, which must live until
     * fini, or NULL when it is not offered. */
    const void *(*capability)(void *self, const char *id);
} mqb_plugin;

/* What the shared object exports, by this name. host_abi is for those who build for several.
 * NULL: it does not want to. */
typedef const mqb_plugin *(*mqb_plugin_entry_fn)(uint32_t host_abi);
#define MQB_PLUGIN_ENTRY "mqb_plugin_entry"
MQB_PLUGIN_EXPORT const mqb_plugin *mqb_plugin_entry(uint32_t host_abi);

/* --- mqb.auth/1: may this client in, and as whom --------------------------- */

#define MQB_CAP_AUTH "mqb.auth/1"

enum { MQB_CONNECT_HAS_PASSWORD = 1u << 0 };

typedef struct {
    uint32_t struct_size;
    uint32_t flags;           /* MQB_CONNECT_... */
    const mqb_principal *who; /* never NULL, nor in the questions below */
    mqb_str password;
} mqb_connect;

/* Any run. Plugins are asked in the order they were loaded; the first answer that is not MQB_PASS
 * counts. Asked for every CONNECT as soon as one plugin offers this; without any, the listener's
 * `anonymous` decides. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    uint32_t (*connect)(void *self, const mqb_connect *q, mqb_answer *a);
} mqb_cap_auth;

/* --- mqb.eauth/1: enhanced authentication of MQTT 5 ------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_EAUTH "mqb.eauth/1"

enum {
    MQB_AUTH_FIRST = 1u << 0, /* the step that came with CONNECT, or begins a re-authentication */
    MQB_AUTH_AGAIN = 1u << 1, /* re-authentication of an open connection */
    MQB_AUTH_HAS_DATA = 1u << 2
};

typedef struct {
    uint32_t struct_size;
    uint32_t flags; /* MQB_AUTH_... */
    const mqb_principal *who;
    mqb_str method;
    mqb_str data;
} mqb_auth_step;

/* Any run. The plugin that names the method is asked, step after step: MQB_CONTINUE sends
 * a->auth_data and waits for the client. *state is the plugin's, NULL at the first step; `abandon`
 * gets it, once, when the exchange is over, however it ended. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    const char *const *methods; /* "SCRAM-SHA-256", ...; ends with NULL */
    uint32_t (*step)(void *self, const mqb_auth_step *q, void **state, mqb_answer *a);
    void (*abandon)(void *self, void *state);
} mqb_cap_eauth;

/* --- mqb.acl/1: publish, subscribe, will, receive -------------------------- */

#define MQB_CAP_ACL "mqb.acl/1"

typedef struct {
    uint32_t struct_size;
    uint32_t action; /* MQB_ACTION_... */
    uint32_t qos;
    uint32_t retain;
    const mqb_principal *who;
    mqb_str topic; /* without a mountpoint; of a subscription: the filter, without $share/GROUP/ */
    mqb_str share; /* the group of a shared subscription */
    mqb_str payload; /* of a publish or will */
} mqb_access;

/* Any run for `check`. Order as mqb.auth/1: as soon as one plugin offers an action, it is asked for
 * every such access that the client's permissions leave open. A client's next packets wait for the
 * answer. `receive` may this message be sent to this client: asked at each delivery, always inline
 * as MQB_RUN_LOOP, whatever `run` says; no ticket. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    uint32_t actions; /* MQB_ACTION_BITs `check` is asked for: publish, subscribe, will */
    uint32_t reserved;
    uint32_t (*check)(void *self, const mqb_access *q, mqb_answer *a);
    uint32_t (*receive)(void *self, const mqb_access *q, mqb_answer *a); /* NULL: not asked */
} mqb_cap_acl;

/* --- mqb.credentials/1: one table of users for all who check secrets ------- */

#define MQB_CAP_CREDENTIALS "mqb.credentials/1"

typedef struct {
    uint32_t struct_size;
    uint32_t tenant;
    mqb_str kind; /* "password": a PHC string; "scram-sha-256": salt$count$stored$server;
                     "psk": the key */
    mqb_str name; /* the user, or the PSK identity */
} mqb_credential_query;

/* The secret lives until the function returns. */
typedef void (*mqb_credential_fn)(void *arg, mqb_str secret, mqb_str attributes);

/* Called by other plugins through mqb_host.find, on their threads, several at once; `run`
 * MQB_RUN_LOOP says that it never blocks. MQB_ENOENT: no such user, found was not called. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    mqb_err (*get)(void *self, const mqb_credential_query *q, mqb_credential_fn found, void *arg);
} mqb_cap_credentials;

/* --- mqb.limit/1: rates ------------------------------------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_LIMIT "mqb.limit/1"

/* MQB_RUN_LOOP only. Called when messages have been read: the nanoseconds that so many messages and
 * bytes must wait, 0 none. Of several plugins the longest wait counts; the client's socket is not
 * read meanwhile. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    uint64_t (*take)(void *self, const mqb_principal *who, uint32_t messages, uint32_t bytes);
} mqb_cap_limit;

/* --- mqb.filter/1: change or drop what is published -------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_FILTER "mqb.filter/1"
#define MQB_CAP_FILTER_DELIVER "mqb.filter.deliver/0"

/* Which fields of a change count. */
enum {
    MQB_CHANGE_TOPIC = 1u << 0,
    MQB_CHANGE_PAYLOAD = 1u << 1,
    MQB_CHANGE_RETAIN = 1u << 2,
    MQB_CHANGE_EXPIRY = 1u << 3,
    MQB_CHANGE_CONTENT_TYPE = 1u << 4,
    MQB_CHANGE_RESPONSE_TOPIC = 1u << 5,
    MQB_CHANGE_CORRELATION_DATA = 1u << 6,
    MQB_CHANGE_USER_PROPERTIES = 1u << 7
};

/* A PUBLISH as it came, or as the plugins before have changed it. */
typedef struct {
    uint32_t struct_size;
    uint32_t qos;
    uint32_t retain;
    uint32_t expiry_s; /* UINT32_MAX: never */
    uint32_t is_utf8;  /* Payload Format Indicator 1 */
    uint32_t user_property_count;
    const mqb_principal *who; /* of `inbound` the publisher, of `deliver` the receiver */
    mqb_str topic;
    mqb_str payload;
    mqb_str content_type;
    mqb_str response_topic;
    mqb_str correlation_data;
    const mqb_user_property *user_properties;
} mqb_publication;

typedef struct {
    uint32_t struct_size;
    uint32_t changes; /* MQB_CHANGE_... */
    uint32_t retain;
    uint32_t expiry_s;
    uint32_t user_property_count;
    uint32_t reserved;
    mqb_str topic;
    mqb_str payload;
    mqb_str content_type;
    mqb_str response_topic;
    mqb_str correlation_data;
    const mqb_user_property *user_properties;
} mqb_publish_change;

/* Any run. All plugins in order, before access is checked. MQB_ALLOW or MQB_PASS: on, with the
 * changes; MQB_DENY: dropped, and answered with a->reason (0: as if it had been delivered). */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    uint32_t (*inbound)(void *self, const mqb_publication *p, mqb_publish_change *c, mqb_answer *a);
} mqb_cap_filter;

/* MQB_RUN_LOOP only: the same for each receiver, when the message is sent to it. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    uint32_t (*deliver)(void *self, const mqb_publication *p, mqb_publish_change *c);
} mqb_cap_filter_deliver;

/* --- mqb.events/1: what happens ----------------------------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_EVENTS "mqb.events/1"

enum {
    MQB_EVENT_REFUSED = 1, /* a CONNECT was not let in */
    MQB_EVENT_OPENED = 2,
    MQB_EVENT_CLOSED = 3, /* cause says why */
    MQB_EVENT_SESSION_ENDED = 4,
    MQB_EVENT_SUBSCRIBED = 5,
    MQB_EVENT_UNSUBSCRIBED = 6,
    MQB_EVENT_DROPPED = 7, /* a message for this client; cause says why */
    MQB_EVENT_ACCESS_DENIED = 8
};

enum {
    MQB_CAUSE_NONE = 0,
    MQB_CAUSE_DISCONNECT = 1, /* the client said DISCONNECT */
    MQB_CAUSE_LOST = 2,       /* the connection broke */
    MQB_CAUSE_KEEP_ALIVE = 3,
    MQB_CAUSE_TAKEN_OVER = 4,
    MQB_CAUSE_KICKED = 5,
    MQB_CAUSE_PROTOCOL = 6,
    MQB_CAUSE_EXPIRED = 7,
    MQB_CAUSE_STOPPING = 8,
    MQB_CAUSE_QUEUE_FULL = 9,
    MQB_CAUSE_TOO_LARGE = 10,
    MQB_CAUSE_NO_MEMORY = 11
};

typedef struct {
    uint32_t struct_size;
    uint32_t type;     /* MQB_EVENT_... */
    uint32_t cause;    /* MQB_CAUSE_... */
    uint32_t reason;   /* MQTT reason code, 0: none */
    uint64_t sequence; /* of this broker's run, without gaps but for `lost` */
    uint64_t lost;     /* events left out just before this one: the queue was full */
    uint64_t wall_ms;
    const mqb_principal *who;
    mqb_str topic; /* or filter */
    uint32_t qos;
    uint32_t reserved;
} mqb_event;

/* Any run. Events come in batches, in order for each client; nothing waits for them. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    uint64_t types; /* bit MQB_EVENT_...; 0: all */
    void (*observe)(void *self, const mqb_event *const *events, uint32_t count);
} mqb_cap_events;

/* --- mqb.metrics/1: figures of the plugin's ----------------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_METRICS "mqb.metrics/1"

/* name and help are constants; kind is MQB_COUNTER or MQB_GAUGE. */
typedef void (*mqb_metric_fn)(void *arg, const char *name, const char *help, uint32_t kind,
                              uint64_t value);

/* Any run. Calls fn for each figure, always the same ones in the same order. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    void (*collect)(void *self, mqb_metric_fn fn, void *arg);
} mqb_cap_metrics;

/* --- mqb.store/1: what outlives the process ----------------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_STORE "mqb.store/1"

/* Keys are at most 64 bytes, ordered as memcmp orders them; values are opaque. */
enum {
    MQB_SPACE_META = 0,
    MQB_SPACE_SESSION = 1,
    MQB_SPACE_SUB = 2,
    MQB_SPACE_RETAINED = 3,
    MQB_SPACE_WILL = 4,
    MQB_SPACE_GROUP = 5,
    MQB_SPACE_INBOUND = 6,
    MQB_SPACE_ENTRY = 7,
    MQB_SPACE_BODY = 8,
    MQB_SPACE_PLUGIN = 9
};
#define MQB_SPACE_BIT(space) (1u << (space))

enum { MQB_STORE_PUT = 1, MQB_STORE_DELETE = 2, MQB_STORE_DELETE_RANGE = 3 /* key <= k < value */ };

typedef struct {
    uint32_t struct_size;
    uint32_t op; /* MQB_STORE_... */
    uint32_t space;
    uint32_t format; /* of the value: kept with it, told when it is read */
    mqb_str key;
    mqb_str value;
} mqb_store_op;

typedef struct {
    uint32_t struct_size;
    uint32_t space;
    uint32_t format;
    uint32_t reserved;
    mqb_str key;
    mqb_str value; /* ptr NULL with keys_only, and of `fetch` when there is no such key */
} mqb_store_record;

/* An error ends the call, which answers it. */
typedef mqb_err (*mqb_store_fn)(void *arg, const mqb_store_record *r);

typedef struct {
    uint32_t struct_size;
    uint32_t space;
    uint32_t keys_only;
    uint32_t max_items; /* 0: no limit */
    uint64_t max_bytes; /* 0: no limit; at least one record is given */
    mqb_str from;       /* first key; empty: from the beginning */
    mqb_str to;         /* first key not wanted; empty: to the end */
} mqb_store_range;

typedef struct {
    uint32_t struct_size;
    uint32_t has_room; /* 0: apply answers MQB_EQUOTA */
    uint64_t bytes;
    uint64_t records;
} mqb_store_stat;

enum { MQB_APPLY_SYNC = 1u << 0 /* kept when apply returns, also if the machine fails */ };

/* MQB_RUN_SERIAL only, and one plugin only. apply is atomic, and safe to repeat; read and fetch see
 * every batch applied. Errors: MQB_EAGAIN the same batch later, MQB_EQUOTA no room,
 * MQB_ESTORAGE damaged (the start is refused). */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    mqb_err (*load)(void *self, uint32_t spaces, mqb_store_fn sink, void *arg);
    mqb_err (*apply)(void *self, const mqb_store_op *const *ops, uint32_t count, uint32_t flags);
    mqb_err (*read)(void *self, const mqb_store_range *range, mqb_store_fn sink, void *arg);
    mqb_err (*fetch)(void *self, uint32_t space, const mqb_str *keys, uint32_t count,
                     mqb_store_fn sink, void *arg);
    mqb_err (*stat)(void *self, mqb_store_stat *out);
} mqb_cap_store;

/* --- mqb.route/0: several brokers as one -------------------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_ROUTE "mqb.route/0"

typedef struct {
    uint32_t struct_size;
    uint32_t
        is_wanted; /* 1: the broker's first subscription of this filter; 0: the last has gone */
    uint32_t tenant;
    uint32_t reserved;
    uint64_t version; /* rises per filter: a lower one is older news */
    mqb_str filter;
} mqb_interest;

typedef struct {
    uint32_t struct_size;
    uint32_t tenant;
    uint32_t qos;
    uint32_t retain;
    uint64_t hold;      /* names this message for `release` */
    uint64_t link;      /* the link it came in by, 0: a client of this broker */
    const mqb_msg *msg; /* reference it to keep it */
    mqb_str topic;
} mqb_routed;

enum { MQB_GROUP_LOCAL = 0 /* members here share it */, MQB_GROUP_MINE = 1 /* the plugin does */ };
enum { MQB_ROUTE_DONE = 0, MQB_ROUTE_HOLD = 1 /* no PUBACK before the plugin's `release` */ };

/* `message` is always inline. A pending `interest` delays the SUBACK. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    uint32_t (*interest)(void *self, const mqb_interest *i, mqb_answer *a);
    uint32_t (*group)(void *self, uint32_t tenant, mqb_str name, mqb_str filter);
    uint32_t (*message)(void *self, const mqb_routed *m);
} mqb_cap_route;

/* Its services: mqb_host.service(h, MQB_CAP_ROUTE). A link is an input of its own, in order. */
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    mqb_err (*link_open)(const mqb_host *h, const char *name, uint64_t *link);
    void (*link_close)(const mqb_host *h, uint64_t link);
    mqb_err (*inject)(const mqb_host *h, uint64_t link, const mqb_plugin_publish *p,
                      mqb_done_fn done, void *arg);
    void (*release)(const mqb_host *h, uint64_t hold);
} mqb_route_services;

/* --- mqb.session/0: whose session is it --------------------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_SESSION "mqb.session/0"

typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t epoch; /* of this claim: a release names it */
    const mqb_principal *who;
} mqb_claim;

/* Any run, one plugin only. Asked between authentication and takeover: the client goes on when the
 * claim is allowed. */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    uint32_t (*claim)(void *self, const mqb_claim *c, mqb_answer *a);
    void (*release)(void *self, const mqb_claim *c);
} mqb_cap_session;

/* --- mqb.stream/0: other transports -----------------------------------------
 * Drawn, not served by this version: a plugin that offers only such is refused. */

#define MQB_CAP_STREAM "mqb.stream/0"

/* What is known of a peer. */
typedef struct {
    uint32_t struct_size;
    uint32_t flags; /* MQB_WHO_IS_LOOPBACK, MQB_WHO_IS_TLS */
    mqb_str address;
    mqb_str cert_common_name;
    mqb_str cert_subject;
    mqb_str server_name;
} mqb_stream_facts;

/* Listeners whose URL has one of the schemes are the plugin's. `write` is always inline and answers
 * how many bytes it has taken; when fewer than offered, the services' `writable` asks for the rest.
 * `drained`: the broker has room for input again, feed on. `close` is the last call for a stream.
 */
typedef struct {
    uint32_t struct_size;
    uint32_t run;
    const char *const *schemes; /* "ws", ...; ends with NULL */
    mqb_err (*listen)(void *self, const char *url, uint64_t listener);
    void (*unlisten)(void *self, uint64_t listener);
    uint64_t (*write)(void *self, void *stream, const mqb_str *parts, uint32_t count);
    void (*drained)(void *self, void *stream);
    void (*close)(void *self, void *stream);
} mqb_cap_stream;

/* Its services: mqb_host.service(h, MQB_CAP_STREAM). `feed` answers how many bytes were taken. */
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    mqb_err (*open)(const mqb_host *h, uint64_t listener, const mqb_stream_facts *facts,
                    void *stream, uint64_t *id);
    uint64_t (*feed)(const mqb_host *h, uint64_t id, const void *bytes, uint64_t len);
    void (*writable)(const mqb_host *h, uint64_t id);
    void (*closed)(const mqb_host *h, uint64_t id, const char *why);
} mqb_stream_services;

#ifdef __cplusplus
}
#endif

#endif
