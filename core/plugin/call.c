/* SPDX-License-Identifier: MIT */
/*
 * See call.h.
 */
#include "plugin/call.h"

#include <stdio.h>

/* --- scratch ---------------------------------------------------------------------------------- */

struct scratch {
    struct scratch *next;
    size_t size;
    _Alignas(16) unsigned char memory[];
};

void *mqbx_scratch(struct call_frame *f, size_t size)
{
    size_t whole = sizeof(struct scratch) + size;
    struct scratch *s = whole > size ? mqbx_alloc(f->seat->alloc, whole) : NULL;
    if (!s)
        return NULL;
    s->next = f->scratch;
    s->size = whole;
    f->scratch = s;
    return s->memory;
}

void mqbx_scratch_free(struct call_frame *f)
{
    while (f->scratch) {
        struct scratch *next = f->scratch->next;
        mqbx_free(f->seat->alloc, f->scratch, f->scratch->size);
        f->scratch = next;
    }
}

/* --- the call --------------------------------------------------------------------------------- */

static uint32_t action_of(enum question_kind kind)
{
    switch (kind) {
    case ASK_PUBLISH:
        return MQB_ACTION_PUBLISH;
    case ASK_SUBSCRIBE:
        return MQB_ACTION_SUBSCRIBE;
    case ASK_WILL:
        return MQB_ACTION_WILL;
    default:
        return MQB_ACTION_RECEIVE;
    }
}

static mqb_str str_of(struct bytes b)
{
    return (mqb_str){(const char *)b.ptr, b.len};
}

static uint32_t call_connect(struct call_frame *f, const mqb_principal *who)
{
    const struct question *q = f->question;
    mqb_connect connect = {
        .struct_size = sizeof(connect),
        .flags = q->has_password ? MQB_CONNECT_HAS_PASSWORD : 0u,
        .who = who,
        .password = str_of(q->password),
    };
    return f->plugin->auth->connect(f->plugin->self, &connect, &f->answer);
}

static uint32_t call_access(struct call_frame *f, const mqb_principal *who, enum plugin_hook hook)
{
    const struct question *q = f->question;
    const mqb_cap_acl *acl = f->plugin->acl;
    mqb_access access = {
        .struct_size = sizeof(access),
        .action = action_of(q->kind),
        .qos = q->qos,
        .retain = q->retain ? 1 : 0,
        .who = who,
        .topic = str_of(q->topic),
        .share = str_of(q->share_name),
        .payload = str_of(q->payload),
    };
    return (hook == HOOK_RECEIVE ? acl->receive : acl->check)(f->plugin->self, &access, &f->answer);
}

uint32_t mqbx_call(struct call_frame *f, const struct chain_link *link)
{
    mqb_principal who;
    mqbx_question_principal(f->question, &who);
    f->plugin = link->plugin;
    f->answer = (mqb_answer){.struct_size = sizeof(f->answer)};
    uint32_t verdict =
        link->hook == HOOK_CONNECT ? call_connect(f, &who) : call_access(f, &who, link->hook);
    if (verdict == MQB_PENDING && !f->has_ticket) {
        mqbx_plugin_log(f->plugin, MQB_LOG_ERROR, "answered PENDING without a ticket: denied");
        return MQB_DENY;
    }
    return verdict;
}

void mqbx_call_outcome(struct call_frame *f, uint32_t verdict, struct outcome *out)
{
    struct outcome_context c = {
        .alloc = f->seat->alloc,
        .kind = f->question->kind,
        .tenant = f->plugin->set->services.tenant,
        .tenant_ctx = f->plugin->set->services.ctx,
    };
    const char *wrong = mqbx_outcome_take(&c, verdict, &f->answer, out);
    if (wrong) {
        char line[256];
        snprintf(line, sizeof(line), "a wrong answer, taken as a denial: %s", wrong);
        mqbx_plugin_log(f->plugin, MQB_LOG_ERROR, line);
    }
    mqbx_scratch_free(f);
}

/* --- on a runner's thread --------------------------------------------------------------------- */

/* The step cannot change before it is answered, and only who answers it goes on. */
static bool read_step(struct job *j, uint32_t *step, uint32_t *at)
{
    mqbx_lock_take(&j->seat->lock);
    bool is_waiting = j->is_waiting;
    *step = j->step;
    *at = j->at;
    mqbx_lock_give(&j->seat->lock);
    return is_waiting;
}

void mqbx_call_job(struct job *j)
{
    struct call_frame f = {.seat = j->seat, .question = &j->question, .job = j};
    if (!read_step(j, &f.step, &f.at))
        return;
    struct plugins *set = j->seat->set;
    uint32_t verdict = mqbx_call(&f, &set->chains[j->question.kind].links[f.at]);
    if (verdict == MQB_PENDING) {
        mqbx_scratch_free(&f);
        return;
    }
    struct outcome o;
    mqbx_call_outcome(&f, verdict, &o);
    (void)mqbx_seat_answer(j->seat, j, f.step, &o);
}
