/* SPDX-License-Identifier: MIT */
/*
 * Configurations as sets of checked keys, and the public functions on them. Knows keys only by the
 * table.
 */
#include "broker/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_value.h"
#include "broker/error.h"

_Static_assert(sizeof(mqb_allocator) == sizeof(struct alloc) &&
                   offsetof(mqb_allocator, fn) == offsetof(struct alloc, fn) &&
                   offsetof(mqb_allocator, arg) == offsetof(struct alloc, arg),
               "the host's allocator is used as it is");

static mqb_err out_of_memory(void)
{
    return mqbx_error(MQB_ENOMEM, "out of memory");
}

static void free_text(const struct alloc *a, char *text)
{
    if (text != NULL)
        mqbx_free(a, text, strlen(text) + 1);
}

static void entry_fini(const struct alloc *a, struct config_entry *e)
{
    free_text(a, e->key);
    free_text(a, e->value);
    free_text(a, e->source);
}

static bool entry_init(const struct alloc *a, struct config_entry *e, const struct config_row *row,
                       const char *key, const char *value, const char *source)
{
    e->row = row;
    e->key = mqbx_strndup(a, key, strlen(key));
    e->value = mqbx_strndup(a, value, strlen(value));
    e->source = mqbx_strndup(a, source, strlen(source));
    if (e->key != NULL && e->value != NULL && e->source != NULL)
        return true;
    entry_fini(a, e);
    return false;
}

/* The place of key, or where it would be put in. */
static size_t lower_bound(const mqb_config *cfg, const char *key)
{
    size_t low = 0, high = cfg->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(cfg->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const mqb_config *cfg, size_t i, const char *key)
{
    return i < cfg->count && strcmp(cfg->entries[i].key, key) == 0;
}

static bool make_room(mqb_config *cfg)
{
    if (cfg->count < cfg->capacity)
        return true;
    size_t capacity = cfg->capacity == 0 ? 16 : cfg->capacity * 2;
    struct config_entry *grown = mqbx_realloc(
        cfg->alloc, cfg->entries, cfg->capacity * sizeof(*grown), capacity * sizeof(*grown));
    if (grown == NULL)
        return false;
    cfg->entries = grown;
    cfg->capacity = capacity;
    return true;
}

static mqb_err unknown_key(const char *key, const char *place)
{
    char near[256];
    if (mqbx_config_row_nearest(key, near, sizeof(near)))
        return mqbx_error(MQB_ECONFIG, "%sunknown key '%s'; did you mean '%s'?", place, key, near);
    return mqbx_error(MQB_ECONFIG, "%sunknown key '%s'", place, key);
}

mqb_err mqbx_config_put(mqb_config *cfg, const char *key, const char *value, const char *source)
{
    char place[512] = "";
    if (strcmp(source, "set") != 0)
        snprintf(place, sizeof(place), "%s: ", source);
    const struct config_row *row = mqbx_config_row_find(key);
    if (row == NULL)
        return unknown_key(key, place);
    int64_t ignored;
    char why[256];
    if (!mqbx_config_value_read(row, value, &ignored, why, sizeof(why)))
        return mqbx_error(MQB_ECONFIG, "%s%s: '%.64s' %s", place, key, value, why);
    struct config_entry e;
    if (!entry_init(cfg->alloc, &e, row, key, value, source))
        return out_of_memory();
    size_t i = lower_bound(cfg, key);
    if (is_at(cfg, i, key)) {
        entry_fini(cfg->alloc, &cfg->entries[i]);
    } else if (make_room(cfg)) {
        memmove(&cfg->entries[i + 1], &cfg->entries[i], (cfg->count - i) * sizeof(e));
        cfg->count++;
    } else {
        entry_fini(cfg->alloc, &e);
        return out_of_memory();
    }
    cfg->entries[i] = e;
    return MQB_OK;
}

const struct config_entry *mqbx_config_entry(const mqb_config *cfg, const char *key)
{
    size_t i = lower_bound(cfg, key);
    return is_at(cfg, i, key) ? &cfg->entries[i] : NULL;
}

static void drop_entries(mqb_config *cfg)
{
    for (size_t i = 0; i < cfg->count; i++)
        entry_fini(cfg->alloc, &cfg->entries[i]);
    mqbx_free(cfg->alloc, cfg->entries, cfg->capacity * sizeof(*cfg->entries));
}

mqb_err mqbx_config_copy(const mqb_config *cfg, const struct alloc *a, mqb_config **out)
{
    mqb_config *copy;
    mqb_err err = mqb_config_new_with((const mqb_allocator *)a, &copy);
    if (err != MQB_OK)
        return err;
    copy->log = cfg->log;
    copy->log_arg = cfg->log_arg;
    for (size_t i = 0; i < cfg->count; i++) {
        const struct config_entry *e = &cfg->entries[i];
        err = mqbx_config_put(copy, e->key, e->value, e->source);
        if (err != MQB_OK) {
            mqb_config_free(copy);
            return err;
        }
    }
    *out = copy;
    return MQB_OK;
}

void mqbx_config_replace(mqb_config *to, mqb_config *from)
{
    drop_entries(to);
    to->entries = from->entries;
    to->count = from->count;
    to->capacity = from->capacity;
    mqbx_free(from->alloc, from, sizeof(*from));
}

bool mqbx_config_next_listener(const mqb_config *cfg, size_t *pos, char name[65])
{
    static const char prefix[] = "listener.";
    const size_t len = sizeof(prefix) - 1;
    for (; *pos < cfg->count; (*pos)++) {
        const char *key = cfg->entries[*pos].key;
        if (strncmp(key, prefix, len) != 0)
            continue;
        size_t n = strcspn(key + len, ".");
        memcpy(name, key + len, n);
        name[n] = '\0';
        while (*pos < cfg->count && strncmp(cfg->entries[*pos].key, key, len + n + 1) == 0)
            (*pos)++;
        return true;
    }
    return false;
}

const char *mqbx_config_text(const mqb_config *cfg, const char *key)
{
    const struct config_entry *e = mqbx_config_entry(cfg, key);
    return e != NULL ? e->value : mqbx_config_row_find(key)->def;
}

int64_t mqbx_config_number(const mqb_config *cfg, const char *key)
{
    int64_t n = 0;
    char why[256];
    (void)mqbx_config_value_read(mqbx_config_row_find(key), mqbx_config_text(cfg, key), &n, why,
                                 sizeof(why));
    return n;
}

const char *mqbx_config_listener_text(const mqb_config *cfg, const char *name, const char *key)
{
    char full[128];
    snprintf(full, sizeof(full), "listener.%s.%s", name, key);
    return mqbx_config_text(cfg, full);
}

int64_t mqbx_config_listener_number(const mqb_config *cfg, const char *name, const char *key)
{
    char full[128];
    snprintf(full, sizeof(full), "listener.%s.%s", name, key);
    return mqbx_config_number(cfg, full);
}

static bool is_same(const mqb_config *a, const mqb_config *b, const struct config_entry *e)
{
    if (e->row->type == CONFIG_STRING || e->row->type == CONFIG_PATH)
        return strcmp(mqbx_config_text(a, e->key), mqbx_config_text(b, e->key)) == 0;
    return mqbx_config_number(a, e->key) == mqbx_config_number(b, e->key);
}

/* Of the keys set in `a`; what neither sets has its default in both. */
static const char *restart_key_of(const mqb_config *a, const mqb_config *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct config_entry *e = &a->entries[i];
        if (e->row->needs_restart && !is_same(a, b, e))
            return e->key;
    }
    return NULL;
}

const char *mqbx_config_restart_key(const mqb_config *a, const mqb_config *b)
{
    const char *key = restart_key_of(a, b);
    return key != NULL ? key : restart_key_of(b, a);
}

/* --- public ---------------------------------------------------------------------------------- */

mqb_err mqb_config_new(mqb_config **out)
{
    return mqb_config_new_with(NULL, out);
}

mqb_err mqb_config_new_with(const mqb_allocator *a, mqb_config **out)
{
    if (out == NULL || (a != NULL && a->fn == NULL))
        return mqbx_error(MQB_EINVAL, "mqb_config_new: out, and the allocator's fn, must be given");
    const struct alloc *alloc = a == NULL ? &mqbx_alloc_libc : (const struct alloc *)a;
    mqb_config *cfg = mqbx_zalloc(alloc, sizeof(*cfg));
    if (cfg == NULL)
        return out_of_memory();
    cfg->alloc = alloc;
    *out = cfg;
    return MQB_OK;
}

void mqb_config_free(mqb_config *cfg)
{
    if (cfg == NULL)
        return;
    drop_entries(cfg);
    mqbx_free(cfg->alloc, cfg, sizeof(*cfg));
}

mqb_err mqb_config_set(mqb_config *cfg, const char *key, const char *value)
{
    if (cfg == NULL || key == NULL || value == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_config_set: cfg, key and value must be given");
    return mqbx_config_put(cfg, key, value, "set");
}

mqb_err mqb_config_set_pair(mqb_config *cfg, const char *pair)
{
    const char *equals = pair == NULL ? NULL : strchr(pair, '=');
    if (cfg == NULL || equals == NULL || equals == pair)
        return mqbx_error(MQB_EINVAL, "'%s' is not KEY=VALUE", pair == NULL ? "" : pair);
    char key[256];
    size_t len = (size_t)(equals - pair);
    if (len >= sizeof(key))
        return mqbx_error(MQB_ECONFIG, "unknown key '%.64s...'", pair);
    memcpy(key, pair, len);
    key[len] = '\0';
    return mqbx_config_put(cfg, key, equals + 1, "set");
}

mqb_err mqb_config_unset(mqb_config *cfg, const char *key)
{
    if (cfg == NULL || key == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_config_unset: cfg and key must be given");
    if (mqbx_config_row_find(key) == NULL)
        return unknown_key(key, "");
    size_t i = lower_bound(cfg, key);
    if (is_at(cfg, i, key)) {
        entry_fini(cfg->alloc, &cfg->entries[i]);
        cfg->count--;
        memmove(&cfg->entries[i], &cfg->entries[i + 1], (cfg->count - i) * sizeof(cfg->entries[0]));
    }
    return MQB_OK;
}

/* Whether any key of the member that `key` belongs to is set. */
static bool has_member(const mqb_config *cfg, const char *key)
{
    const char *dot = strchr(key, '.');
    size_t prefix = (size_t)(dot + 1 - key) + strcspn(dot + 1, ".") + 1;
    for (size_t i = 0; i < cfg->count; i++) {
        if (strncmp(cfg->entries[i].key, key, prefix) == 0)
            return true;
    }
    return false;
}

const char *mqb_config_get(const mqb_config *cfg, const char *key)
{
    const struct config_row *row = key == NULL ? NULL : mqbx_config_row_find(key);
    if (cfg == NULL || row == NULL)
        return NULL;
    const struct config_entry *e = mqbx_config_entry(cfg, key);
    if (e != NULL)
        return e->value;
    return strchr(row->name, '*') != NULL && !has_member(cfg, key) ? NULL : row->def;
}

void mqb_config_each(const mqb_config *cfg, mqb_config_each_fn fn, void *arg)
{
    for (size_t i = 0; i < cfg->count; i++) {
        const struct config_entry *e = &cfg->entries[i];
        if (!fn(arg, e->key, e->value, e->source))
            return;
    }
}

void mqb_config_set_log(mqb_config *cfg, mqb_log_fn fn, void *arg)
{
    cfg->log = fn;
    cfg->log_arg = arg;
}

mqb_err mqb_config_describe(size_t i, mqb_config_key *out)
{
    if (out == NULL || out->struct_size < sizeof(*out))
        return mqbx_error(MQB_EINVAL, "mqb_config_describe: out->struct_size is not set");
    const struct config_row *row = mqbx_config_row(i);
    if (row == NULL)
        return mqbx_error(MQB_ENOENT, "there are only %zu keys", i);
    out->needs_restart = row->needs_restart;
    out->name = row->name;
    out->type = mqbx_config_type_name(row->type);
    out->range = row->range;
    out->def = row->def;
    out->help = row->help;
    return MQB_OK;
}
