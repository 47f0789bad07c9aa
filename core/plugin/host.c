/* SPDX-License-Identifier: MIT */
/*
 * The table of services a plugin is given. Every `h` is the head of a struct plugin.
 */
#include <time.h>

#include "plugin/call.h"
#include "plugin/seat.h"
#include "plugin/set.h"

static struct plugin *plugin_of(const mqb_host *h)
{
    return (struct plugin *)(uintptr_t)h;
}

void mqbx_plugin_log(const struct plugin *p, int32_t level, const char *text)
{
    const struct plugin_services *s = &p->set->services;
    s->log(s->ctx, level, p->name, text, strlen(text));
}

/* --- small things ----------------------------------------------------------------------------- */

static void host_log(const mqb_host *h, int32_t level, const char *line, size_t len)
{
    const struct plugin *p = plugin_of(h);
    const struct plugin_services *s = &p->set->services;
    if (level < MQB_LOG_ERROR || level > MQB_LOG_DEBUG)
        level = MQB_LOG_INFO;
    s->log(s->ctx, level, p->name, line, len);
}

static void *host_alloc(const mqb_host *h, void *ptr, size_t old_size, size_t new_size)
{
    const struct alloc *a = plugin_of(h)->set->alloc;
    if (new_size > 0)
        return ptr ? mqbx_realloc(a, ptr, old_size, new_size) : mqbx_alloc(a, new_size);
    mqbx_free(a, ptr, old_size);
    return NULL;
}

static uint64_t host_now_ms(const mqb_host *h)
{
    (void)h;
    return mqbx_plugin_clock_ns() / 1000000;
}

static uint64_t host_wall_ms(const mqb_host *h)
{
    struct timespec ts;
    (void)h;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static const mqb_plugin_key *find_key(const struct plugin *p, const char *key)
{
    const mqb_plugin_key *const *keys = p->descriptor->keys;
    for (; keys && *keys; keys++)
        if (MQB_HAS(mqb_plugin_key, *keys, help) && strcmp((*keys)->name, key) == 0)
            return *keys;
    return NULL;
}

bool mqbx_plugin_has_key(const struct plugin *p, const char *key)
{
    return find_key(p, key) != NULL;
}

static const char *host_config(const mqb_host *h, const char *key)
{
    const struct plugin *p = plugin_of(h);
    const struct plugin_services *s = &p->set->services;
    const mqb_plugin_key *row = key ? find_key(p, key) : NULL;
    if (!p->reads_config || !row)
        return NULL;
    const char *value = s->config(s->ctx, p->name, key);
    return value ? value : row->def;
}

static const void *host_service(const mqb_host *h, const char *id)
{
    (void)h;
    (void)id;
    return NULL;
}

static const void *capability_of(const struct plugin *p, const char *id)
{
    if (strcmp(id, MQB_CAP_AUTH) == 0)
        return p->auth;
    if (strcmp(id, MQB_CAP_ACL) == 0)
        return p->acl;
    return strcmp(id, MQB_CAP_CREDENTIALS) == 0 ? p->credentials : NULL;
}

static mqb_err host_find(const mqb_host *h, const char *plugin, const char *id, const void **table,
                         void **self)
{
    const struct plugins *set = plugin_of(h)->set;
    for (uint32_t i = 0; id && i < set->count; i++) {
        const struct plugin *p = set->list[i];
        if (!p->is_up || (plugin && strcmp(p->name, plugin) != 0))
            continue;
        const void *found = capability_of(p, id);
        if (!found)
            continue;
        *table = found;
        *self = p->self;
        return MQB_OK;
    }
    return MQB_ENOENT;
}

/* --- inside a question, and afterwards -------------------------------------------------------- */

static struct call_frame *frame_of(mqb_answer *a)
{
    return (struct call_frame *)(void *)a;
}

static void *host_scratch(const mqb_host *h, mqb_answer *a, size_t size)
{
    (void)h;
    return a ? mqbx_scratch(frame_of(a), size) : NULL;
}

static mqb_err host_ticket_take(const mqb_host *h, mqb_answer *a, mqb_ticket *out)
{
    (void)h;
    if (!a || !out)
        return MQB_EINVAL;
    struct call_frame *f = frame_of(a);
    if (f->question->kind == ASK_RECEIVE || f->has_ticket)
        return MQB_ESTATE;
    if (!f->job)
        f->job = mqbx_seat_open_job(f->seat, f->question);
    if (!f->job)
        return MQB_ENOMEM;
    if (f->step == 0)
        f->step = mqbx_seat_begin_step(f->seat, f->job, f->at);
    *out = mqbx_seat_give_ticket(f->seat, f->job, f->step);
    f->has_ticket = true; /* also when nobody waits any more: the answer goes nowhere */
    return *out != 0 ? MQB_OK : MQB_ENOMEM;
}

static mqb_err host_ticket_complete(const mqb_host *h, mqb_ticket t, const mqb_answer *a)
{
    struct plugin *p = plugin_of(h);
    uint32_t step;
    struct job *j = mqbx_ticket_use(&p->set->tickets, t, &step);
    if (!j)
        return MQB_ENOENT;
    struct call_frame f = {.plugin = p, .seat = j->seat, .question = &j->question};
    struct outcome o;
    f.answer.struct_size = sizeof(f.answer);
    if (a)
        memcpy(&f.answer, a, a->struct_size < sizeof(f.answer) ? a->struct_size : sizeof(f.answer));
    mqbx_call_outcome(&f, a ? f.answer.verdict : MQB_DENY, &o);
    bool is_taken = mqbx_seat_answer(j->seat, j, step, &o);
    mqbx_job_unref(j);
    return is_taken ? MQB_OK : MQB_ENOENT;
}

/* --- kept answers ----------------------------------------------------------------------------- */

uint64_t mqbx_plugins_forget(struct plugins *p, uint64_t client)
{
    mqbx_lock_take(&p->seats_lock);
    uint64_t generation = mqbx_atomic_add64(&p->generation, 1) + 1;
    for (uint32_t i = 0; i < SEATS_MAX; i++)
        if (p->seats[i])
            mqbx_seat_forget(p->seats[i], client, generation);
    mqbx_lock_give(&p->seats_lock);
    return generation;
}

static void host_forget(const mqb_host *h, mqb_client c, uint64_t *generation)
{
    uint64_t g = mqbx_plugins_forget(plugin_of(h)->set, c.id);
    if (generation)
        *generation = g;
}

static uint32_t host_is_current(const mqb_host *h, uint64_t generation)
{
    struct plugins *set = plugin_of(h)->set;
    uint32_t is_current = 1;
    mqbx_lock_take(&set->seats_lock);
    for (uint32_t i = 0; i < SEATS_MAX; i++)
        if (set->seats[i] && mqbx_atomic_load64(&set->seats[i]->generation) < generation)
            is_current = 0;
    mqbx_lock_give(&set->seats_lock);
    return is_current;
}

/* --- the broker ------------------------------------------------------------------------------- */

static mqb_err host_tenant(const mqb_host *h, const char *name, uint32_t *out)
{
    const struct plugin_services *s = &plugin_of(h)->set->services;
    return s->tenant(s->ctx, name, out);
}

static mqb_err host_publish(const mqb_host *h, const mqb_plugin_publish *p)
{
    const struct plugin_services *s = &plugin_of(h)->set->services;
    if (!p || !MQB_HAS(mqb_plugin_publish, p, payload))
        return MQB_EINVAL;
    return s->publish(s->ctx, p);
}

static mqb_err host_kick(const mqb_host *h, mqb_client c, uint64_t connection, uint32_t reason,
                         uint32_t flags)
{
    const struct plugin_services *s = &plugin_of(h)->set->services;
    return s->kick(s->ctx, c, connection, reason, flags);
}

void mqbx_plugin_host_init(struct plugin *p)
{
    p->host = (mqb_host){
        .struct_size = sizeof(p->host),
        .abi = MQB_ABI,
        .log = host_log,
        .alloc = host_alloc,
        .now_ms = host_now_ms,
        .wall_ms = host_wall_ms,
        .config = host_config,
        .service = host_service,
        .find = host_find,
        .scratch = host_scratch,
        .ticket_take = host_ticket_take,
        .ticket_complete = host_ticket_complete,
        .forget = host_forget,
        .is_current = host_is_current,
        .tenant = host_tenant,
        .publish = host_publish,
        .kick = host_kick,
    };
}
