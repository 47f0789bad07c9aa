/* SPDX-License-Identifier: MIT */
/*
 * Simulated connections.
 */
#include "sim_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_link *of(const struct link *l)
{
    return (struct sim_link *)(uintptr_t)l;
}

static void must(const struct sim_link *l, bool ok, const char *what)
{
    if (!ok)
        world_fail(l->world, "link %llu: %s", (unsigned long long)l->number, what);
}

static void must_be_here(const struct sim_link *l, const char *what)
{
    must(l, !l->is_closed, "used after close");
    must(l, l->owner != WORLD_NOBODY, what);
    must(l, l->owner == l->world->running, "used by an engine that does not have it");
}

static void set_add(struct link_set *set, struct sim_link *l, uint32_t which)
{
    if (l->set_places[which] != 0)
        return;
    if (set->count == set->cap) {
        set->cap = set->cap * 2 + 64;
        set->items = realloc(set->items, set->cap * sizeof(struct sim_link *));
        if (!set->items)
            abort();
    }
    set->items[set->count++] = l;
    l->set_places[which] = set->count;
}

void sim_link_touch(struct sim_link *l)
{
    for (uint32_t i = 0; i < LINK_SETS; i++)
        set_add(&l->world->sets[i], l, i);
}

void sim_link_untouch(struct sim_link *l, uint32_t which)
{
    struct link_set *set = &l->world->sets[which];
    uint32_t place = l->set_places[which];
    if (place == 0)
        return;
    struct sim_link *last = set->items[--set->count];
    set->items[place - 1] = last;
    last->set_places[which] = place;
    l->set_places[which] = 0;
}

/* --- the engine's end ------------------------------------------------------------------------ */

/* How much a read gives: now and then less than there is. */
static size_t portion(struct sim_link *l, size_t most)
{
    struct rng *r = &l->world->rng;
    if (most == 0 || rng_percent(r, 70))
        return most;
    return rng_between(r, 1, (uint32_t)most);
}

static int64_t read_end(const struct sim_link *l)
{
    return l->is_fin_visible && l->in.len == 0 ? LINK_EOF : LINK_AGAIN;
}

static int64_t link_read(struct link *base, uint8_t *out, size_t cap)
{
    struct sim_link *l = of(base);
    struct rng *r = &l->world->rng;
    must_be_here(l, "read while detached");
    must(l, cap > 0, "read into nothing");
    base->is_drained = false;
    if (l->is_broken)
        return LINK_ERROR;
    if (l->pending == 0) {
        if (l->in.visible == 0)
            return read_end(l);
        if (!l->world->is_calm && rng_percent(r, 4))
            return LINK_AGAIN; /* readiness goes on being reported */
        l->pending = l->is_tls ? rng_between(r, 1, (uint32_t)l->in.visible) : l->in.visible;
    }
    size_t n = pipe_read(&l->in, out, portion(l, l->pending < cap ? l->pending : cap));
    l->pending = l->is_tls ? l->pending - n : 0;
    base->is_drained =
        l->pending == 0 && l->in.visible == 0 && !l->is_fin_visible && rng_percent(r, 80);
    return (int64_t)n;
}

static void check_repeated(const struct sim_link *l, const struct bytes *parts, uint32_t count)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < count && at < l->repeated_len; i++) {
        uint32_t n = parts[i].len < l->repeated_len - at ? parts[i].len : l->repeated_len - at;
        must(l, memcmp(parts[i].ptr, l->repeated + at, n) == 0,
             "a write that was cut short was not repeated with the same bytes");
        at += n;
    }
    must(l, at == l->repeated_len, "a write that was cut short was repeated with fewer bytes");
}

static void remember_rest(struct sim_link *l, const struct bytes *part, uint32_t from)
{
    uint32_t n = part->len - from;
    if (n > LINK_CHECKED_BYTES - l->repeated_len)
        n = LINK_CHECKED_BYTES - l->repeated_len;
    memcpy(l->repeated + l->repeated_len, part->ptr + from, n);
    l->repeated_len += n;
}

static size_t out_room(struct sim_link *l)
{
    size_t room = l->out.len < l->out_cap ? l->out_cap - l->out.len : 0;
    if (l->is_silent || l->is_left)
        return l->is_silent && !l->world->is_calm ? room : 65536;
    return room;
}

static int64_t link_write(struct link *base, const struct bytes *parts, uint32_t count)
{
    struct sim_link *l = of(base);
    struct rng *r = &l->world->rng;
    must_be_here(l, "write while detached");
    if (l->is_broken)
        return LINK_ERROR;
    check_repeated(l, parts, count);
    l->repeated_len = 0;
    sim_link_touch(l);
    size_t room = out_room(l);
    if (!l->world->is_calm && rng_percent(r, 20))
        room = rng_below(r, (uint32_t)room + 1);
    int64_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = parts[i].len < room ? parts[i].len : (uint32_t)room;
        if (!l->is_left)
            pipe_write(&l->out, parts[i].ptr, n);
        room -= n;
        taken += n;
        if (n < parts[i].len)
            remember_rest(l, &parts[i], n);
    }
    return taken;
}

static void link_want(struct link *base, uint32_t events)
{
    struct sim_link *l = of(base);
    must(l, !l->is_closed, "want after close");
    must(l, l->owner != WORLD_NOBODY || events == 0, "want while detached");
    l->wants = events;
    sim_link_touch(l);
}

static void link_close(struct link *base)
{
    struct sim_link *l = of(base);
    must(l, !l->is_closed, "closed twice");
    l->is_closed = true;
    l->closed_ms = l->world->now_ms;
    l->wants = 0;
    world_trace(l->world, "link %llu closed by the engine", (unsigned long long)l->number);
    l->world->has_dead_links |= l->holders == 0;
}

static void link_detach(struct link *base)
{
    struct sim_link *l = of(base);
    must_be_here(l, "detached twice");
    must(l, base->conn == NULL, "detached with a connection");
    must(l, l->wants == 0, "detached while something is wanted");
    must(l, l->repeated_len == 0, "detached with a write cut short");
    l->owner = WORLD_NOBODY;
}

static bool link_attach(struct link *base, void *loop)
{
    struct sim_link *l = of(base);
    const struct sim_engine *e = loop;
    must(l, !l->is_closed, "attached after close");
    must(l, l->owner == WORLD_NOBODY || l->owner == e->index, "attached while another has it");
    must(l, e->index == l->world->running, "attached to another's loop");
    l->attached_ms = l->world->now_ms;
    if (l->world->options.fails_allocations && rng_percent(&l->world->rng, 1))
        return false;
    l->owner = e->index;
    sim_link_touch(l);
    return true;
}

static void link_facts(const struct link *base, struct link_facts *out)
{
    const struct sim_link *l = of(base);
    *out = (struct link_facts){.address = l->address,
                               .is_loopback = true,
                               .is_tls = l->is_tls,
                               .listener = &l->world->listener,
                               .error_text = l->is_broken ? "connection reset" : NULL};
}

static const struct link_ops ops = {.read = link_read,
                                    .write = link_write,
                                    .want = link_want,
                                    .close = link_close,
                                    .detach = link_detach,
                                    .attach = link_attach,
                                    .facts = link_facts};

/* --- the world's part ------------------------------------------------------------------------- */

static void enlist(struct world *w, struct sim_link *l)
{
    if (w->link_count == w->link_cap) {
        w->link_cap = w->link_cap * 2 + 64;
        w->links = realloc(w->links, w->link_cap * sizeof(struct sim_link *));
        if (!w->links)
            abort();
    }
    l->place = w->link_count;
    w->links[w->link_count++] = l;
}

struct sim_link *sim_link_new(struct world *w)
{
    static const uint32_t caps[] = {48, 512, 4096, 65536};
    struct sim_link *l = calloc(1, sizeof(*l));
    if (!l)
        abort();
    l->base.ops = &ops;
    l->world = w;
    l->number = ++w->links_made;
    l->owner = WORLD_NOBODY;
    l->made_ms = w->now_ms;
    l->is_tls = rng_percent(&w->rng, 30);
    l->out_cap = w->is_calm ? 65536 : caps[rng_below(&w->rng, 4)];
    l->slow = rng_percent(&w->rng, 20) ? 90 : 0;
    snprintf(l->address, sizeof(l->address), "sim:%llu", (unsigned long long)l->number);
    enlist(w, l);
    return l;
}

void sim_link_free(struct sim_link *l)
{
    struct world *w = l->world;
    struct sim_link *last = w->links[--w->link_count];
    last->place = l->place;
    w->links[l->place] = last;
    for (uint32_t i = 0; i < LINK_SETS; i++)
        sim_link_untouch(l, i);
    pipe_fini(&l->in);
    pipe_fini(&l->out);
    free(l);
}

uint32_t sim_link_events(const struct sim_link *l)
{
    uint32_t ready = 0;
    if (l->is_closed || l->owner == WORLD_NOBODY)
        return 0;
    if (l->is_broken || l->in.visible > l->pending || (l->is_fin_visible && l->in.len == 0))
        ready |= LINK_READ;
    bool has_room = l->out.len < l->out_cap || l->is_left;
    if (l->is_broken || (has_room && !(l->is_silent && l->world->is_calm)))
        ready |= LINK_WRITE;
    return ready & l->wants;
}

static bool carry_pipe(struct sim_link *l, struct pipe *p)
{
    size_t hidden = p->len - p->visible;
    if (hidden == 0)
        return false;
    struct rng *r = &l->world->rng;
    pipe_carry(p, rng_percent(r, 60) ? hidden : rng_between(r, 1, (uint32_t)hidden));
    return true;
}

bool sim_link_carry(struct sim_link *l)
{
    if (l->is_silent || l->is_broken)
        return false;
    sim_link_touch(l);
    struct rng *r = &l->world->rng;
    bool is_slow = !l->world->is_calm && rng_percent(r, l->slow);
    if (is_slow)
        return l->in.len > l->in.visible || l->out.len > l->out.visible;
    bool moved = false;
    if (!l->is_closed)
        moved = carry_pipe(l, &l->in);
    if (!l->is_left)
        moved |= carry_pipe(l, &l->out);
    if (l->is_fin_sent && !l->is_fin_visible && l->in.visible == l->in.len)
        moved = l->is_fin_visible = true;
    if (!moved)
        sim_link_untouch(l, SET_NETWORK);
    return moved;
}

/* --- the client's end ------------------------------------------------------------------------- */

void sim_link_send(struct sim_link *l, const void *bytes, size_t len)
{
    if (!l->is_closed && !l->is_broken && !l->is_fin_sent)
        pipe_write(&l->in, bytes, len);
    sim_link_touch(l);
}

size_t sim_link_receive(struct sim_link *l, void *out, size_t len)
{
    sim_link_touch(l);
    return pipe_read(&l->out, out, len);
}

bool sim_link_is_over(const struct sim_link *l)
{
    if (l->is_broken)
        return l->out.visible == 0;
    return l->is_closed && l->out.len == 0;
}

void sim_link_finish(struct sim_link *l)
{
    l->is_fin_sent = true;
    sim_link_touch(l);
}

void sim_link_cut(struct sim_link *l)
{
    sim_link_touch(l);
    struct rng *r = &l->world->rng;
    pipe_truncate(&l->out,
                  l->out.visible + rng_below(r, (uint32_t)(l->out.len - l->out.visible) + 1));
    l->out.visible = l->out.len;
    pipe_truncate(&l->in, l->in.visible + rng_below(r, (uint32_t)(l->in.len - l->in.visible) + 1));
    if (rng_percent(r, 50)) {
        l->is_broken = true;
        return;
    }
    l->in.visible = l->in.len; /* half a packet and the end of it */
    l->is_fin_sent = l->is_fin_visible = true;
}

void sim_link_break(struct sim_link *l)
{
    l->is_broken = true;
    sim_link_touch(l);
}

void sim_link_silence(struct sim_link *l)
{
    l->is_silent = true;
    pipe_truncate(&l->in, l->in.visible);
}

void sim_link_leave(struct sim_link *l)
{
    l->is_left = true;
    sim_link_touch(l);
    pipe_fini(&l->out);
}

struct sim_link *sim_link_hold(struct sim_link *l)
{
    l->holders++;
    return l;
}

void sim_link_let_go(struct sim_link *l)
{
    l->holders--;
    l->world->has_dead_links |= l->is_closed && l->holders == 0;
}

bool sim_link_is_read(const struct sim_link *l)
{
    return l->in.len == 0;
}
