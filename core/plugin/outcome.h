/* SPDX-License-Identifier: MIT */
/*
 * A plugin's answer, taken over: checked, copied, its permissions compiled. Made on whatever thread
 * answered, used on the worker that asked. A wrong answer becomes a denial, never a broken broker.
 */
#ifndef MQBX_PLUGIN_OUTCOME_H
#define MQBX_PLUGIN_OUTCOME_H

#include <mqttbroker_plugin.h>

#include "base/alloc.h"
#include "engine/ask.h"

struct outcome {
    uint32_t verdict; /* MQB_DENY, MQB_ALLOW or MQB_PASS */
    uint32_t cache_ms;
    struct answer answer; /* its texts refer to `texts`, permissions are one reference */
    char *texts;
    size_t texts_bytes;
};

typedef mqb_err (*outcome_tenant_fn)(void *ctx, const char *name, uint32_t *out);

struct outcome_context {
    const struct alloc *alloc;
    enum question_kind kind;
    outcome_tenant_fn tenant;
    void *tenant_ctx;
};

/* NULL, or what is wrong with the answer, which then denies. */
const char *mqbx_outcome_take(const struct outcome_context *c, uint32_t verdict,
                              const mqb_answer *a, struct outcome *out);
/* The permissions too, unless they were taken (set to NULL). */
void mqbx_outcome_fini(const struct alloc *a, struct outcome *o);

#endif
