/* SPDX-License-Identifier: MIT */
/*
 * See outcome.h.
 */
#include "plugin/outcome.h"

#include "engine/permissions.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

enum { PERMISSIONS_MAX = 100000, TENANT_MAX_BYTES = 128 };

/* Which reason codes a denial may have. Others mean the usual one. */
static bool is_reason_of(enum question_kind kind, uint32_t reason)
{
    static const uint8_t connect[] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86,
                                      0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95,
                                      0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f};
    static const uint8_t publish[] = {0x80, 0x83, 0x87, 0x90, 0x97, 0x99};
    static const uint8_t subscribe[] = {0x80, 0x83, 0x87, 0x8f, 0x97, 0x9e, 0xa1, 0xa2};
    const uint8_t *codes = connect;
    size_t count = sizeof(connect);
    if (kind == ASK_PUBLISH) {
        codes = publish;
        count = sizeof(publish);
    } else if (kind == ASK_SUBSCRIBE) {
        codes = subscribe;
        count = sizeof(subscribe);
    }
    return reason <= 0xff && memchr(codes, (int)reason, count) != NULL;
}

/* --- checks ----------------------------------------------------------------------------------- */

static struct bytes bytes_of(mqb_str s)
{
    return mqbx_bytes(s.ptr, s.ptr ? s.len : 0);
}

/* name, NUL, value, NUL, ... */
static bool are_attributes(mqb_str s)
{
    size_t ends = 0;
    if (s.len == 0)
        return true;
    for (size_t i = 0; i < s.len; i++)
        ends += s.ptr[i] == '\0';
    return s.len <= UINT16_MAX && s.ptr[s.len - 1] == '\0' && ends % 2 == 0;
}

static bool is_prefix(mqb_str s)
{
    struct bytes b = bytes_of(s);
    return b.len == 0 || (s.len < UINT16_MAX && mqbx_utf8_valid(b) && mqbx_topic_name_valid(b));
}

static const char *check_texts(const mqb_answer *a)
{
    if (a->user_name.len > UINT16_MAX || !mqbx_utf8_valid(bytes_of(a->user_name)))
        return "the user name is not UTF-8 of at most 65535 bytes";
    if (a->tenant.len > TENANT_MAX_BYTES || !mqbx_utf8_valid(bytes_of(a->tenant)))
        return "the tenant is not UTF-8 of at most 128 bytes";
    if (!is_prefix(a->mountpoint))
        return "the mountpoint is not the beginning of a topic";
    if (!are_attributes(a->attributes))
        return "the attributes are not pairs of texts that end with NUL, at most 65535 bytes";
    if (a->permission_count > PERMISSIONS_MAX || (a->permission_count > 0 && !a->permissions))
        return "the permissions are missing, or too many";
    if (a->permission_rest > MQB_REST_DENY)
        return "permission_rest is unknown";
    return NULL;
}

/* --- taking over ------------------------------------------------------------------------------ */

static char *put(char *at, mqb_str s, struct bytes *out)
{
    *out = mqbx_bytes(at, s.len);
    if (s.len > 0)
        memcpy(at, s.ptr, s.len);
    at[s.len] = '\0';
    return at + s.len + 1;
}

static bool copy_texts(const struct alloc *alloc, const mqb_answer *a, struct outcome *out)
{
    struct bytes mountpoint;
    size_t size = a->user_name.len + a->mountpoint.len + a->attributes.len + 3;
    char *at = mqbx_alloc(alloc, size);
    if (!at)
        return false;
    out->texts = at;
    out->texts_bytes = size;
    at = put(at, a->user_name, &out->answer.user_name);
    out->answer.has_user_name = a->user_name.ptr != NULL;
    if (a->mountpoint.ptr)
        out->answer.mountpoint = at;
    at = put(at, a->mountpoint, &mountpoint);
    put(at, a->attributes, &out->answer.attributes);
    return true;
}

static bool read_permission(const mqb_permission *p, struct permission_rule *out)
{
    static const struct {
        uint32_t action;
        enum question_kind kind;
    } kinds[] = {{MQB_ACTION_PUBLISH, ASK_PUBLISH},
                 {MQB_ACTION_SUBSCRIBE, ASK_SUBSCRIBE},
                 {MQB_ACTION_RECEIVE, ASK_RECEIVE},
                 {MQB_ACTION_WILL, ASK_WILL}};
    if (!p || !MQB_HAS(mqb_permission, p, topic) || p->topic.len > UINT16_MAX)
        return false;
    *out = (struct permission_rule){.is_allowed = p->allow != 0,
                                    .is_exact = p->exact != 0,
                                    .qos_mask = (uint8_t)(p->qos & 7),
                                    .retain_mask = (uint8_t)(p->retain & 3),
                                    .topic = bytes_of(p->topic)};
    uint32_t known = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        known |= MQB_ACTION_BIT(kinds[i].action);
        if (p->actions & MQB_ACTION_BIT(kinds[i].action))
            out->kinds |= ASKS(kinds[i].kind);
    }
    bool is_known = !(p->actions & ~known) && !(p->qos & ~7u) && !(p->retain & ~3u);
    return is_known && (out->is_exact || mqbx_topic_filter_valid(out->topic));
}

static const char *compile(const struct alloc *alloc, const mqb_answer *a, struct outcome *out)
{
    static const enum permission rest[] = {PERMISSION_NONE, PERMISSION_ALLOW, PERMISSION_DENY};
    if (a->permission_count == 0 && a->permission_rest == MQB_REST_ASK)
        return NULL;
    size_t size = (a->permission_count + 1) * sizeof(struct permission_rule);
    struct permission_rule *rules = mqbx_alloc(alloc, size);
    const char *wrong = rules ? NULL : "out of memory";
    for (uint32_t i = 0; !wrong && i < a->permission_count; i++)
        if (!read_permission(a->permissions[i], &rules[i]))
            wrong = "a permission is not well formed";
    if (!wrong) {
        out->answer.permissions =
            mqbx_permissions_new(alloc, rules, a->permission_count, rest[a->permission_rest]);
        wrong = out->answer.permissions ? NULL : "out of memory";
    }
    mqbx_free(alloc, rules, size);
    return wrong;
}

static uint16_t narrow(uint32_t n)
{
    return n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

static const char *take_limits(const mqb_limits *l, struct client_limits *out)
{
    if (!l)
        return NULL;
    if (!MQB_HAS(mqb_limits, l, max_inflight))
        return "the limits are too short";
    *out = (struct client_limits){.queue_max_messages = l->queue_max_messages,
                                  .queue_max_bytes = l->queue_max_bytes,
                                  .max_subscriptions = l->max_subscriptions,
                                  .max_packet_bytes = l->max_packet_size,
                                  .receive_maximum = narrow(l->receive_maximum),
                                  .max_inflight = narrow(l->max_inflight)};
    return NULL;
}

static const char *take_tenant(const struct outcome_context *c, const mqb_answer *a,
                               struct answer *out)
{
    char name[TENANT_MAX_BYTES + 1] = "";
    if (!a->tenant.ptr)
        return NULL;
    memcpy(name, a->tenant.ptr, a->tenant.len);
    out->has_tenant = true;
    if (c->tenant(c->tenant_ctx, name, &out->tenant) != MQB_OK)
        return "the tenant cannot be taken: limits.max_tenants";
    return NULL;
}

/* What comes with being let in. */
static const char *take_admission(const struct outcome_context *c, const mqb_answer *a,
                                  struct outcome *out)
{
    const char *wrong = check_texts(a);
    if (wrong)
        return wrong;
    out->answer.expires_wall_ms = a->expires_at_ms;
    out->answer.has_session_expiry_max = (a->flags & MQB_ANSWER_SESSION_EXPIRY) != 0;
    out->answer.session_expiry_max_s = a->session_expiry_max_s;
    wrong = take_limits(a->limits, &out->answer.limits);
    if (!wrong)
        wrong = take_tenant(c, a, &out->answer);
    bool has_texts = a->user_name.ptr || a->mountpoint.ptr || a->attributes.len > 0;
    if (!wrong && has_texts && !copy_texts(c->alloc, a, out))
        wrong = "out of memory";
    return wrong ? wrong : compile(c->alloc, a, out);
}

static const char *deny(const struct alloc *alloc, struct outcome *out, const char *why)
{
    mqbx_outcome_fini(alloc, out);
    *out = (struct outcome){.verdict = MQB_DENY, .answer.verdict = VERDICT_DENY};
    return why;
}

const char *mqbx_outcome_take(const struct outcome_context *c, uint32_t verdict,
                              const mqb_answer *given, struct outcome *out)
{
    mqb_answer a = {.struct_size = 0};
    *out = (struct outcome){.verdict = verdict};
    if (!given || given->struct_size < sizeof(a.struct_size))
        return deny(c->alloc, out, given ? "struct_size of the answer is not set" : NULL);
    memcpy(&a, given, given->struct_size < sizeof(a) ? given->struct_size : sizeof(a));
    if (verdict != MQB_DENY && verdict != MQB_ALLOW && verdict != MQB_PASS)
        return deny(c->alloc, out, "the verdict is none of deny, allow and pass");
    out->cache_ms = a.cache_ms;
    out->answer.ends_connection = (a.flags & MQB_ANSWER_DISCONNECT) != 0;
    if (is_reason_of(c->kind, a.reason))
        out->answer.reason = (uint8_t)a.reason;
    out->answer.verdict = verdict == MQB_ALLOW ? VERDICT_ALLOW : VERDICT_DENY;
    if (verdict != MQB_ALLOW || c->kind != ASK_CONNECT)
        return NULL;
    const char *wrong = take_admission(c, &a, out);
    return wrong ? deny(c->alloc, out, wrong) : NULL;
}

void mqbx_outcome_fini(const struct alloc *a, struct outcome *o)
{
    mqbx_permissions_unref(o->answer.permissions);
    mqbx_free(a, o->texts, o->texts_bytes);
    o->answer.permissions = NULL;
    o->texts = NULL;
}
