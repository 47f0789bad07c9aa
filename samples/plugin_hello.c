/* SPDX-License-Identifier: MIT */
/* The smallest useful plugin: whoever knows the password may use what is below "hello/".
 * docs/plugin-guide.md goes through it. */
#include <mqttbroker_plugin.h>

static const mqb_plugin_key key = {sizeof(key), 0, "password", NULL, "What clients must know."};
static const mqb_plugin_key *const keys[] = {&key, NULL};

struct hello {
    const mqb_host *host;
    char password[64];
};

static mqb_err init(const mqb_host *h, void **self)
{
    const char *password = h->config(h, "password");
    if (password == NULL || strlen(password) > 63)
        return MQB_ECONFIG; /* the broker does not start, and says so */
    struct hello *me = h->alloc(h, NULL, 0, sizeof(*me));
    if (me == NULL)
        return MQB_ENOMEM;
    me->host = h;
    strcpy(me->password, password);
    *self = me;
    return MQB_OK;
}

static void fini(void *self)
{
    struct hello *me = self;
    me->host->alloc(me->host, me, sizeof(*me), 0);
}

static uint32_t on_connect(void *self, const mqb_connect *q, mqb_answer *a)
{
    static const mqb_permission below = {sizeof(below), 1, 0, 0, 0, 0, {"hello/#", 7}};
    static const mqb_permission *const all[] = {&below};
    if (!mqb_str_is(q->password, ((const struct hello *)self)->password))
        return MQB_PASS;  /* another plugin may know this client; when all pass, it is denied */
    a->permissions = all; /* the broker applies them itself, without further calls */
    a->permission_count = 1;
    a->permission_rest = MQB_REST_DENY;
    return MQB_ALLOW;
}

static const void *capability(void *self, const char *id)
{
    static const mqb_cap_auth auth = {sizeof(auth), MQB_RUN_LOOP, on_connect};
    (void)self;
    return strcmp(id, MQB_CAP_AUTH) == 0 ? &auth : NULL;
}

const mqb_plugin *mqb_plugin_entry(uint32_t host_abi)
{
    static const mqb_plugin hello = {sizeof(hello), MQB_ABI, "hello", "1.0", 0,    0,
                                     keys,          init,    NULL,    NULL,  fini, capability};
    (void)host_abi;
    return &hello;
}
