/* SPDX-License-Identifier: MIT */
/*
 * See job.h.
 */
#include "plugin/job.h"

/* --- copying ---------------------------------------------------------------------------------- */

static void copy_bytes(char **at, struct bytes *b)
{
    char *to = *at;
    if (b->len > 0)
        memcpy(to, b->ptr, b->len);
    *at = to + b->len;
    b->ptr = (const uint8_t *)to;
}

static void copy_text(char **at, const char **text)
{
    char *to = *at;
    size_t size = *text ? strlen(*text) + 1 : 0;
    if (size == 0)
        return;
    memcpy(to, *text, size);
    *at = to + size;
    *text = to;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t facts_size(const struct link_facts *f)
{
    if (!f)
        return 0;
    return text_size(f->address) + text_size(f->listener->name) + f->cert_common_name.len +
           f->cert_subject.len + f->sni.len;
}

static size_t texts_size(const struct question *q)
{
    return (size_t)q->who.client_id.len + q->who.user_name.len + q->who.attributes.len +
           q->password.len + q->auth_method.len + q->auth_data.len + q->topic.len +
           q->share_name.len + q->payload.len + facts_size(q->who.facts);
}

static void copy_facts(struct job *j, char **at)
{
    if (!j->question.who.facts)
        return;
    j->facts = *j->question.who.facts;
    j->listener = (struct listener_settings){.name = j->facts.listener->name,
                                             .mountpoint = "",
                                             .tenant = j->facts.listener->tenant,
                                             .anonymous = j->facts.listener->anonymous};
    j->facts.listener = &j->listener;
    j->facts.error_text = NULL;
    j->question.who.facts = &j->facts;
    copy_text(at, &j->facts.address);
    copy_text(at, &j->listener.name);
    copy_bytes(at, &j->facts.cert_common_name);
    copy_bytes(at, &j->facts.cert_subject);
    copy_bytes(at, &j->facts.sni);
}

static void copy_question(struct job *j, const struct question *q)
{
    char *at = (char *)(j + 1);
    struct question *own = &j->question;
    *own = *q;
    struct bytes *parts[] = {
        &own->who.client_id, &own->who.user_name, &own->who.attributes,
        &own->password,      &own->auth_method,   &own->auth_data,
        &own->topic,         &own->share_name,    &own->payload,
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        copy_bytes(&at, parts[i]);
    copy_facts(j, &at);
}

struct job *mqbx_job_new(const struct alloc *a, struct seat *seat, const struct question *q)
{
    size_t size = sizeof(struct job) + texts_size(q);
    struct job *j = mqbx_zalloc(a, size);
    if (!j)
        return NULL;
    j->alloc = a;
    j->size = size;
    j->seat = seat;
    mqbx_atomic_store32(&j->refs, 1);
    mqbx_list_init(&j->node);
    copy_question(j, q);
    return j;
}

struct job *mqbx_job_ref(struct job *j)
{
    (void)mqbx_atomic_add32(&j->refs, 1);
    return j;
}

/* A copied question may hold a password. */
static void wipe(struct job *j)
{
    volatile char *at = (volatile char *)(j + 1);
    for (size_t i = 0; i < j->size - sizeof(*j); i++)
        at[i] = 0;
}

void mqbx_job_unref(struct job *j)
{
    if (mqbx_atomic_add32(&j->refs, UINT32_MAX) != 1)
        return;
    mqbx_outcome_fini(j->alloc, &j->outcome);
    if (j->question.has_password)
        wipe(j);
    mqbx_free(j->alloc, j, j->size);
}

/* --- what plugins see ------------------------------------------------------------------------- */

static mqb_str str_of(struct bytes b)
{
    return (mqb_str){(const char *)b.ptr, b.len};
}

void mqbx_question_principal(const struct question *q, mqb_principal *out)
{
    const struct principal *who = &q->who;
    const struct link_facts *f = who->facts;
    *out = (mqb_principal){
        .struct_size = sizeof(*out),
        .flags = who->has_user_name ? MQB_WHO_HAS_USER_NAME : 0u,
        .tenant = who->tenant,
        .protocol = who->protocol,
        .client = {who->client},
        .connection = who->conn,
        .client_id = str_of(who->client_id),
        .user_name = str_of(who->user_name),
        .attributes = str_of(who->attributes),
    };
    if (!f) {
        out->flags |= MQB_WHO_IS_LOCAL;
        return;
    }
    out->flags |= (f->is_loopback ? MQB_WHO_IS_LOOPBACK : 0u) | (f->is_tls ? MQB_WHO_IS_TLS : 0u);
    out->address = mqb_str_of(f->address);
    out->listener = mqb_str_of(f->listener->name);
    out->cert_common_name = str_of(f->cert_common_name);
    out->cert_subject = str_of(f->cert_subject);
    out->server_name = str_of(f->sni);
}
