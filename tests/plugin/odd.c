/* SPDX-License-Identifier: MIT */
/*
 * A plugin that must not be loaded: ODD says what is wrong with it. Built once for each.
 */
#include <mqttbroker_plugin.h>

#define STR(x) #x
#define TEXT(x) STR(x)

static int is_odd(const char *what)
{
    return strcmp(TEXT(ODD), what) == 0;
}

static uint32_t on_connect(void *self, const mqb_connect *q, mqb_answer *a)
{
    (void)self;
    (void)q;
    (void)a;
    return MQB_ALLOW;
}

static mqb_err init(const mqb_host *h, void **self)
{
    (void)h;
    (void)self;
    return is_odd("init_fails") ? MQB_ESYS : MQB_OK;
}

static const void *capability(void *self, const char *id)
{
    static const mqb_cap_auth good = {sizeof(good), MQB_RUN_LOOP, on_connect};
    static const mqb_cap_auth short_table = {8, MQB_RUN_LOOP, on_connect};
    static const mqb_cap_auth odd_run = {sizeof(odd_run), 7, on_connect};
    static const mqb_cap_limit limit = {sizeof(limit), MQB_RUN_LOOP, NULL};
    (void)self;
    if (is_odd("unserved"))
        return strcmp(id, MQB_CAP_LIMIT) == 0 ? &limit : NULL;
    if (strcmp(id, MQB_CAP_AUTH) != 0 || is_odd("offers_nothing"))
        return NULL;
    return is_odd("short_table") ? &short_table : is_odd("odd_run") ? &odd_run : &good;
}

MQB_PLUGIN_EXPORT const mqb_plugin *odd_entry(uint32_t host_abi);

const mqb_plugin *odd_entry(uint32_t host_abi)
{
    static mqb_plugin p;
    p = (mqb_plugin){.struct_size = sizeof(p),
                     .abi = MQB_ABI,
                     .name = is_odd("bad_name") ? "a b" : "odd",
                     .version = "2.5",
                     .init = init,
                     .capability = capability};
    if (is_odd("wrong_major"))
        p.abi = (MQB_ABI_MAJOR + 1) << 16 | 3;
    if (is_odd("must_understand"))
        p.must_understand = 4;
    if (is_odd("short_struct"))
        p.struct_size = 16;
    (void)host_abi;
    return is_odd("null") ? NULL : &p;
}

#ifndef NO_ENTRY
const mqb_plugin *mqb_plugin_entry(uint32_t host_abi)
{
    return odd_entry(host_abi);
}
#endif
