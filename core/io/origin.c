/* SPDX-License-Identifier: MIT */
/*
 * See origin.h.
 */
#include "io/origin.h"

#include <string.h>

#include "io/tls.h"

static struct tally *tally_ref(const struct alloc *a, struct tally *t)
{
    if (!t) {
        t = mqbx_zalloc(a, sizeof(*t));
        if (!t)
            return NULL;
    }
    mqbx_atomic_add32(&t->refs, 1);
    return t;
}

static void tally_unref(const struct alloc *a, struct tally *t)
{
    if (t && mqbx_atomic_add32(&t->refs, UINT32_MAX) == 1)
        mqbx_free(a, t, sizeof(*t));
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text && text[0] != '\0' ? text : otherwise;
}

static struct origin *allocate(const struct alloc *a, const struct listener_options *o)
{
    const char *name = text_or(o->name, text_or(o->url, "adopted"));
    const char *mountpoint = text_or(o->mountpoint, "");
    size_t name_size = strlen(name) + 1;
    size_t size = sizeof(struct origin) + name_size + strlen(mountpoint) + 1;
    struct origin *origin = mqbx_zalloc(a, size);
    if (!origin)
        return NULL;
    memcpy(origin->text, name, name_size);
    memcpy(origin->text + name_size, mountpoint, strlen(mountpoint) + 1);
    origin->alloc = a;
    origin->size = size;
    origin->max_connections = o->max_connections;
    origin->settings = (struct listener_settings){
        .name = origin->text,
        .mountpoint = origin->text + name_size,
        .tenant = o->tenant,
        .anonymous = o->anonymous,
    };
    mqbx_atomic_store32(&origin->refs, 1);
    return origin;
}

mqb_err mqbx_origin_new(const struct alloc *a, const struct listener_options *o, bool is_tls,
                        struct tally *tally, struct origin **out, struct io_error *e)
{
    struct origin *origin = allocate(a, o);
    if (origin)
        origin->tally = tally_ref(a, tally);
    if (!origin || !origin->tally) {
        mqbx_origin_unref(origin);
        return mqbx_io_error(e, MQB_ENOMEM, "out of memory for a listener");
    }
    if (is_tls) {
        mqb_err err = mqbx_tls_context_new(a, o, origin->settings.name, &origin->tls, e);
        if (err != MQB_OK) {
            mqbx_origin_unref(origin);
            return err;
        }
    }
    *out = origin;
    return MQB_OK;
}

struct origin *mqbx_origin_ref(struct origin *o)
{
    mqbx_atomic_add32(&o->refs, 1);
    return o;
}

void mqbx_origin_unref(struct origin *o)
{
    if (!o || mqbx_atomic_add32(&o->refs, UINT32_MAX) != 1)
        return;
    mqbx_tls_context_free(o->tls);
    tally_unref(o->alloc, o->tally);
    mqbx_free(o->alloc, o, o->size);
}
