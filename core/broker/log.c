/* SPDX-License-Identifier: MIT */
/*
 * Lines to the host's log function. An attacker can make no line repeat without bound: each kind
 * has its lines per second, and what is left out is told in one line as soon as the second is over
 * and anything is logged.
 */
#include "broker/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/log_format.h"

void mqbx_log_init(struct log *l, mqb_log_fn fn, void *arg)
{
    memset(l, 0, sizeof(*l));
    l->fn = fn;
    l->arg = arg;
    mqbx_lock_init(&l->lock);
}

void mqbx_log_fini(struct log *l)
{
    mqbx_lock_fini(&l->lock);
}

void mqbx_log_configure(struct log *l, const mqb_config *cfg)
{
    bool json = mqbx_config_number(cfg, "log.format") == 1;
    bool time = mqbx_config_number(cfg, "log.time") != 0;
    mqbx_atomic_store32(&l->form, json ? LOG_JSON : time ? LOG_TEXT : LOG_TEXT_WITHOUT_TIME);
    mqbx_atomic_store32(&l->burst, (uint32_t)mqbx_config_number(cfg, "log.burst"));
    mqbx_atomic_store32(&l->level, LOG_ERROR + (uint32_t)mqbx_config_number(cfg, "log.level"));
}

static void write_line(struct log *l, const struct log_event *ev, uint64_t wall_ms)
{
    char line[LOG_LINE_MAX];
    size_t len = mqbx_log_format((enum log_form)mqbx_atomic_load32(&l->form), ev, wall_ms, line);
    l->fn(l->arg, (int32_t)ev->level, line, len);
}

static bool is_kind(const struct log_kind *k, const struct log_event *ev)
{
    return k->event != NULL && strcmp(k->event, ev->event) == 0 &&
           strcmp(k->module, ev->module) == 0;
}

/* Kinds are places in the code, fewer than LOG_KINDS; should there be more, the last ones share. */
static struct log_kind *kind_of(struct log *l, const struct log_event *ev)
{
    for (size_t i = 0; i < LOG_KINDS - 1; i++) {
        struct log_kind *k = &l->kinds[i];
        if (is_kind(k, ev))
            return k;
        if (k->event == NULL) {
            *k = (struct log_kind){.module = ev->module, .event = ev->event, .level = ev->level};
            return k;
        }
    }
    struct log_kind *last = &l->kinds[LOG_KINDS - 1];
    if (last->event == NULL)
        *last = (struct log_kind){.module = "log", .event = "others", .level = ev->level};
    return last;
}

/* Whether this line may go out. */
static bool take_turn(struct log *l, const struct log_event *ev, uint64_t second)
{
    struct log_kind *k = kind_of(l, ev);
    uint32_t burst = mqbx_atomic_load32(&l->burst);
    if (k->second != second) {
        k->second = second;
        k->count = 0;
    }
    if (burst == 0 || k->count < burst) {
        k->count++;
        return true;
    }
    l->kinds_left_out += k->left_out == 0;
    k->left_out++;
    (void)mqbx_atomic_add64(&l->suppressed, 1);
    return false;
}

/* The next kind with untold lines of a second that is over; under the lock. */
static bool take_left_out(struct log *l, uint64_t second, struct log_kind *out)
{
    if (l->kinds_left_out == 0)
        return false;
    for (size_t i = 0; i < LOG_KINDS; i++) {
        struct log_kind *k = &l->kinds[i];
        if (k->left_out == 0 || k->second == second)
            continue;
        *out = *k;
        k->left_out = 0;
        l->kinds_left_out--;
        return true;
    }
    return false;
}

static bool next_left_out(struct log *l, uint64_t second, struct log_kind *out)
{
    mqbx_lock_take(&l->lock);
    bool found = take_left_out(l, second, out);
    mqbx_lock_give(&l->lock);
    return found;
}

static void tell_left_out(struct log *l, uint64_t second, uint64_t wall_ms)
{
    struct log_kind k;
    while (next_left_out(l, second, &k)) {
        char detail[160];
        snprintf(detail, sizeof(detail), "%u more of: %s", k.left_out, k.event);
        struct log_event ev = {.level = k.level,
                               .module = k.module,
                               .event = "lines left out",
                               .reason = -1,
                               .detail = detail};
        write_line(l, &ev, wall_ms);
    }
}

void mqbx_log_event_at(struct log *l, const struct log_event *ev, uint64_t wall_ms)
{
    if (l->fn == NULL || (uint32_t)ev->level > mqbx_atomic_load32(&l->level))
        return;
    uint64_t second = wall_ms / 1000;
    tell_left_out(l, second, wall_ms);
    mqbx_lock_take(&l->lock);
    bool may = take_turn(l, ev, second);
    mqbx_lock_give(&l->lock);
    if (may)
        write_line(l, ev, wall_ms);
}

static uint64_t wall_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void mqbx_log_event(struct log *l, const struct log_event *ev)
{
    mqbx_log_event_at(l, ev, wall_now_ms());
}

void mqbx_log_broker(struct log *l, enum log_level level, const char *event, const char *format,
                     ...)
{
    char detail[600];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    struct log_event ev = {.level = level,
                           .module = "broker",
                           .event = event,
                           .reason = -1,
                           .detail = *detail == '\0' ? NULL : detail};
    mqbx_log_event(l, &ev);
}

void mqbx_log_flush(struct log *l)
{
    if (l->fn != NULL)
        tell_left_out(l, UINT64_MAX, wall_now_ms());
}
