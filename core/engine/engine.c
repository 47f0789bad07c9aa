/* SPDX-License-Identifier: MIT */
/*
 * The engine as a whole: made, driven in turns, stopped, freed.
 */
#include "engine/engine.h"

#include "engine/conn.h"
#include "engine/delivery.h"
#include "engine/group.h"
#include "engine/hold.h"
#include "engine/local_session.h"
#include "engine/packets.h"
#include "engine/session.h"

/* --- memory ---------------------------------------------------------------------------------- */

static void *count_alloc(void *arg, void *ptr, size_t old_size, size_t new_size)
{
    struct engine *e = arg;
    const struct alloc *a = e->seams.alloc;
    void *p = a->fn(a->arg, ptr, old_size, new_size);
    if (p || new_size == 0)
        mqbx_counter_add(&e->metrics.memory_bytes, (uint64_t)new_size - old_size);
    return p;
}

/* The broker-wide sum is brought up to date once a turn. */
static void tell_memory(struct engine *e)
{
    uint64_t held = mqbx_counter_get(&e->metrics.memory_bytes) +
                    mqbx_counter_get(&e->metrics.messages_queued_bytes);
    if (held == e->memory_told)
        return;
    mqbx_atomic_add64(&e->shared->memory_bytes, held - e->memory_told);
    e->memory_told = held;
}

bool mqbx_engine_is_over_memory(const struct engine *e)
{
    uint64_t limit = e->settings->memory_limit_bytes;
    return limit > 0 &&
           mqbx_atomic_load64(&e->shared->memory_bytes) + mqbx_retained_bytes(e->shared->retained) >
               limit;
}

/* --- made and freed ------------------------------------------------------------------------- */

static void init(struct engine *e, struct shared *shared, uint32_t worker,
                 const struct seams *seams, struct engine_time now)
{
    e->shared = shared;
    e->worker = worker;
    e->seams = *seams;
    e->now = now;
    e->alloc = (struct alloc){.fn = count_alloc, .arg = e};
    mqbx_wheel_init(&e->wheel, now.mono_ms);
    mqbx_timer_init(&e->sweep, TIMER_SWEEP);
    mqbx_ring_init(&e->foreign, sizeof(struct local_msg *));
    mqbx_ring_init(&e->collecting, sizeof(struct hold *));
    mqbx_ring_init(&e->committing, sizeof(struct hold *));
    mqbx_slab_init(&e->conn_slab, &e->alloc, sizeof(struct conn));
    mqbx_slab_init(&e->session_slab, &e->alloc, sizeof(struct session));
    mqbx_slab_init(&e->local_msg_slab, &e->alloc, sizeof(struct local_msg));
    struct list *lists[] = {&e->conns,  &e->asking,  &e->doomed,   &e->ready,
                            &e->paused, &e->pumping, &e->barriers, &e->locals};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        mqbx_list_init(lists[i]);
    struct table *tables[] = {&e->sessions,     &e->sessions_by_id, &e->subscriptions, &e->groups,
                              &e->groups_by_id, &e->local_subs,     &e->asked};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        mqbx_table_init(tables[i], &e->alloc);
}

#define MATCH_CACHE_SLOTS 4096u

static bool init_memory(struct engine *e)
{
    e->index = mqbx_index_new(&e->alloc, e->shared->index_key, MATCH_CACHE_SLOTS);
    e->read_buffer = mqbx_alloc(&e->alloc, READ_BUFFER_BYTES);
    e->scratch = mqbx_alloc(&e->alloc, SCRATCH_BYTES);
    if (e->shared->interest)
        e->interest = mqbx_interest_counts_new(&e->alloc, e->shared->interest, e->worker);
    return mqbx_engine_post_init(e) && e->index && e->read_buffer && e->scratch &&
           (!e->shared->interest || e->interest);
}

static void fini_memory(struct engine *e)
{
    mqbx_engine_post_fini(e);
    mqbx_output_pool_fini(e);
    if (e->index)
        mqbx_index_free(e->index);
    if (e->interest)
        mqbx_interest_counts_free(e->interest);
    mqbx_free(&e->alloc, e->read_buffer, READ_BUFFER_BYTES);
    mqbx_free(&e->alloc, e->scratch, SCRATCH_BYTES);
    struct table *tables[] = {&e->sessions,     &e->sessions_by_id, &e->subscriptions, &e->groups,
                              &e->groups_by_id, &e->local_subs,     &e->asked};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        mqbx_table_fini(tables[i]);
    mqbx_slab_fini(&e->conn_slab);
    mqbx_slab_fini(&e->session_slab);
    mqbx_slab_fini(&e->local_msg_slab);
}

struct engine *mqbx_engine_new(struct shared *shared, uint32_t worker, struct settings *settings,
                               const struct seams *seams, struct engine_time now)
{
    struct engine *e = mqbx_zalloc(seams->alloc, sizeof(*e));
    if (!e)
        return NULL;
    init(e, shared, worker, seams, now);
    if (!init_memory(e)) {
        fini_memory(e);
        mqbx_free(seams->alloc, e, sizeof(*e));
        return NULL;
    }
    e->settings = settings;
    return e;
}

static void free_conns(struct engine *e, struct list *conns)
{
    while (!mqbx_list_empty(conns)) {
        struct conn *c = mqbx_container(conns->next, struct conn, node);
        if (c->session)
            c->session->conn = NULL;
        c->session = NULL;
        mqbx_conn_free(e, c);
    }
}

static void end_handle(struct engine *e, struct local *l)
{
    mqbx_local_free_parked(e, l);
    l->session = NULL;
}

/* The callbacks of in-process subscriptions are told by arg_free; their handles are the host's. */
static void free_sessions(struct engine *e)
{
    size_t pos = 0;
    struct session *s;
    while ((s = mqbx_table_next(&e->sessions, &pos))) {
        if (s->local)
            end_handle(e, s->local);
        mqbx_session_free(e, s);
        pos = 0;
    }
}

void mqbx_engine_free(struct engine *e)
{
    if (!e)
        return;
    free_conns(e, &e->conns);
    free_conns(e, &e->asking);
    free_conns(e, &e->doomed);
    mqbx_route_end_foreign(e);
    mqbx_hold_fini(e);
    free_sessions(e);
    size_t pos = 0;
    struct group *g;
    while ((g = mqbx_table_next(&e->groups, &pos))) {
        mqbx_group_free(e, g);
        pos = 0;
    }
    mqbx_atomic_add64(&e->shared->memory_bytes, (uint64_t)0 - e->memory_told);
    mqbx_settings_unref(e->settings);
    fini_memory(e);
    const struct alloc *a = e->seams.alloc;
    mqbx_free(a, e, sizeof(*e));
}

/* --- small services for the other files ----------------------------------------------------- */

void mqbx_engine_log(struct engine *e, const struct log_event *ev)
{
    if (e->seams.log)
        e->seams.log(e->seams.ctx, ev);
}

const struct engine_metrics *mqbx_engine_metrics(const struct engine *e)
{
    return &e->metrics;
}

/* --- turns ---------------------------------------------------------------------------------- */

#define SWEEP_STEP 4096u

static void sweep(struct engine *e)
{
    struct retained *r = e->shared->retained;
    mqbx_retained_sweep(r, e->now.mono_ms, SWEEP_STEP);
    if (mqbx_retained_count(r) > 0)
        mqbx_wheel_set(&e->wheel, &e->sweep, e->now.mono_ms + SWEEP_INTERVAL_MS);
}

static void fire(void *ctx, struct timer *t)
{
    struct engine *e = ctx;
    switch (t->kind) {
    case TIMER_CONN:
        mqbx_conn_timer(e, mqbx_container(t, struct conn, timer));
        break;
    case TIMER_SESSION:
        mqbx_session_timer(e, mqbx_container(t, struct session, timer));
        break;
    default:
        sweep(e);
    }
}

void mqbx_engine_begin(struct engine *e, struct engine_time now)
{
    e->now = now;
    mqbx_wheel_advance(&e->wheel, now.mono_ms, fire, e);
}

bool mqbx_engine_link_new(struct engine *e, struct link *l)
{
    if (e->is_stopped)
        return false;
    struct conn *c = mqbx_conn_new(e, l);
    if (!c)
        return false;
    mqbx_wheel_set(&e->wheel, &c->timer, e->now.mono_ms + e->settings->connect_timeout_ms);
    mqbx_conn_update_wants(e, c);
    return true;
}

void mqbx_engine_link_ready(struct engine *e, struct link *l, uint32_t events)
{
    struct conn *c = l->conn;
    if (events & LINK_WRITE)
        mqbx_conn_mark_dirty(e, c);
    if (events & LINK_READ)
        mqbx_conn_read(e, c);
}

static void run_ready(struct engine *e)
{
    struct list now;
    mqbx_list_init(&now);
    mqbx_list_splice(&now, &e->ready);
    struct list *n;
    while ((n = mqbx_list_pop(&now))) {
        struct conn *c = mqbx_container(n, struct conn, run_node);
        if (c->state == CONN_OPEN && c->end_reason != 0)
            mqbx_conn_send_away(e, c, c->end_reason, "a limit was reached");
        else
            mqbx_conn_read(e, c);
    }
}

static void run_pumping(struct engine *e)
{
    struct list now;
    mqbx_list_init(&now);
    mqbx_list_splice(&now, &e->pumping);
    struct list *n;
    while ((n = mqbx_list_pop(&now)))
        mqbx_session_pump(e, mqbx_container(n, struct session, pump_node));
}

static void run_dirty(struct engine *e)
{
    struct conn *c = e->dirty_head, *next;
    e->dirty_head = e->dirty_tail = NULL;
    for (; c; c = next) {
        next = c->next_dirty;
        c->is_dirty = false;
        mqbx_conn_flush(e, c);
    }
}

/* An inbox over its mark: publishers wait until its worker has come past this point. */
static void check_pressure(struct engine *e)
{
    uint64_t posted = e->posted & ~e->pressed & ~(UINT64_C(1) << e->worker);
    e->posted = 0;
    for (uint32_t w = 0; posted != 0; w++, posted >>= 1) {
        if (!(posted & 1) || e->seams.pressure(e->seams.ctx, w) < e->settings->inbox_mark_bytes)
            continue;
        struct item it = {.type = ITEM_PRESSED, .from = (uint16_t)e->worker};
        if (e->seams.post(e->seams.ctx, w, &it, 0))
            e->pressed |= UINT64_C(1) << w;
    }
}

#define ROUNDS_PER_TURN 8u

bool mqbx_engine_end(struct engine *e)
{
    run_ready(e);
    for (uint32_t i = 0; i < ROUNDS_PER_TURN; i++) {
        run_pumping(e);
        run_dirty(e);
        if (!e->dirty_head && mqbx_list_empty(&e->pumping))
            break;
    }
    free_conns(e, &e->doomed);
    mqbx_route_end_foreign(e);
    mqbx_hold_end_turn(e);
    bool has_late_posts = mqbx_engine_post_again(e);
    check_pressure(e);
    tell_memory(e);
    return has_late_posts || e->dirty_head || !mqbx_list_empty(&e->pumping) ||
           !mqbx_list_empty(&e->ready);
}

uint64_t mqbx_engine_next_ms(const struct engine *e)
{
    return mqbx_wheel_next_ms(&e->wheel);
}

/* --- stopping ------------------------------------------------------------------------------- */

void mqbx_engine_stop_reading(struct engine *e)
{
    e->is_stopped = true;
    struct list *all[] = {&e->conns, &e->asking};
    for (size_t i = 0; i < 2; i++)
        for (struct list *n = all[i]->next; n != all[i]; n = n->next)
            mqbx_conn_update_wants(e, mqbx_container(n, struct conn, node));
}

void mqbx_engine_disconnect_all(struct engine *e)
{
    struct list *all[] = {&e->conns, &e->asking};
    for (size_t i = 0; i < 2; i++)
        for (struct list *n = all[i]->next, *next; n != all[i]; n = next) {
            struct conn *c = mqbx_container(n, struct conn, node);
            next = n->next;
            if (c->state == CONN_OPEN)
                mqbx_conn_send_away(e, c, RC_SERVER_SHUTTING_DOWN, "the broker stops");
            else if (c->state == CONN_ASKING)
                mqbx_conn_refuse(e, c, RC_SERVER_UNAVAILABLE, "the broker stops");
            else if (c->state == CONN_NEW)
                mqbx_conn_doom(e, c);
        }
}

bool mqbx_engine_is_drained(const struct engine *e)
{
    return mqbx_list_empty(&e->conns) && mqbx_list_empty(&e->asking) && mqbx_list_empty(&e->doomed);
}
