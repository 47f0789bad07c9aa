/* SPDX-License-Identifier: MIT */
/*
 * Paho C (MQTTAsync) as a client of the interoperability suite: one connection, driven by lines
 * (line_client.h). The main thread reads commands; answers are printed by the library's callback
 * thread, a whole line a call.
 */
#include <MQTTAsync.h>
#include <semaphore.h>

#include "line_client.h"

struct client {
    struct line_options options;
    MQTTAsync handle;
    sem_t left;
};

static void print_failure(const char *word, int code)
{
    line_print(word, -1, code);
}

static void on_connected(void *arg, MQTTAsync_successData *d)
{
    (void)arg;
    line_print("connected", d->alt.connect.sessionPresent, 0);
}

static void on_connected5(void *arg, MQTTAsync_successData5 *d)
{
    (void)arg;
    line_print("connected", d->alt.connect.sessionPresent, (int)d->reasonCode);
}

static void on_refused(void *arg, MQTTAsync_failureData *d)
{
    (void)arg;
    print_failure("refused", d ? d->code : 0);
}

static void on_refused5(void *arg, MQTTAsync_failureData5 *d)
{
    (void)arg;
    print_failure("refused", d ? (int)d->reasonCode : 0);
}

static void on_published(void *arg, MQTTAsync_successData *d)
{
    (void)arg;
    (void)d;
    line_print("published", 0, 0);
}

static void on_published5(void *arg, MQTTAsync_successData5 *d)
{
    (void)arg;
    line_print("published", (int)d->reasonCode, 0);
}

static void on_subscribed(void *arg, MQTTAsync_successData *d)
{
    (void)arg;
    line_print("subscribed", d->alt.qos, 0);
}

static void on_subscribed5(void *arg, MQTTAsync_successData5 *d)
{
    (void)arg;
    line_print("subscribed", (int)d->reasonCode, 0);
}

static void on_unsubscribed(void *arg, MQTTAsync_successData *d)
{
    (void)arg;
    (void)d;
    line_print("unsubscribed", 0, 0);
}

static void on_unsubscribed5(void *arg, MQTTAsync_successData5 *d)
{
    (void)arg;
    (void)d;
    line_print("unsubscribed", 0, 0);
}

static void on_failed(void *arg, MQTTAsync_failureData *d)
{
    (void)arg;
    print_failure("failed", d ? d->code : 0);
}

static void on_failed5(void *arg, MQTTAsync_failureData5 *d)
{
    (void)arg;
    print_failure("failed", d ? (int)d->reasonCode : 0);
}

static void on_left(void *arg, MQTTAsync_successData *d)
{
    (void)d;
    line_print("disconnected", 0, 0);
    sem_post(&((struct client *)arg)->left);
}

static void on_left5(void *arg, MQTTAsync_successData5 *d)
{
    (void)d;
    on_left(arg, NULL);
}

static void on_lost(void *arg, char *cause)
{
    (void)arg;
    (void)cause;
    line_print("lost", 0, 0);
}

static char *text_of(const MQTTLenString *s)
{
    return s->data ? strndup(s->data, (size_t)s->len) : strdup("");
}

static int on_message(void *arg, char *topic, int topic_bytes, MQTTAsync_message *m)
{
    (void)arg;
    (void)topic_bytes;
    MQTTProperty *r = MQTTProperties_getProperty(&m->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
    MQTTProperty *c =
        MQTTProperties_getProperty(&m->properties, MQTTPROPERTY_CODE_CORRELATION_DATA);
    MQTTProperty *u = MQTTProperties_getProperty(&m->properties, MQTTPROPERTY_CODE_USER_PROPERTY);
    const MQTTLenString none = {0, NULL};
    char *response = text_of(r ? &r->value.data : &none);
    char *key = text_of(u ? &u->value.data : &none);
    char *value = text_of(u ? &u->value.value : &none);
    line_message_print(&(struct line_message){
        .topic = topic,
        .payload = m->payload ? m->payload : "",
        .response_topic = response,
        .correlation = c ? c->value.data.data : "",
        .key = key,
        .value = value,
        .payload_bytes = m->payloadlen,
        .correlation_bytes = c ? c->value.data.len : 0,
        .qos = m->qos,
        .is_retained = m->retained != 0,
    });
    free(response);
    free(key);
    free(value);
    MQTTAsync_freeMessage(&m);
    MQTTAsync_free(topic);
    return 1;
}

/* The answers of one request, in the form that its MQTT version wants. */
static MQTTAsync_responseOptions answer(struct client *c, MQTTAsync_onSuccess *v3,
                                        MQTTAsync_onSuccess5 *v5)
{
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    o.context = c;
    if (c->options.version == 5) {
        o.onSuccess5 = v5;
        o.onFailure5 = on_failed5;
    } else {
        o.onSuccess = v3;
        o.onFailure = on_failed;
    }
    return o;
}

static MQTTLenString borrow(char *text)
{
    return (MQTTLenString){.len = (int)strlen(text), .data = text};
}

static int publish(struct client *c, char **w)
{
    MQTTAsync_responseOptions o = answer(c, on_published, on_published5);
    MQTTAsync_message m = MQTTAsync_message_initializer;
    m.payload = w[4];
    m.payloadlen = (int)strlen(w[4]);
    m.qos = atoi(w[2]);
    m.retained = atoi(w[3]);
    if (w[5][0] != '\0') {
        MQTTProperty p = {.identifier = MQTTPROPERTY_CODE_RESPONSE_TOPIC};
        p.value.data = borrow(w[5]);
        MQTTProperties_add(&m.properties, &p);
        p.identifier = MQTTPROPERTY_CODE_CORRELATION_DATA;
        p.value.data = borrow(w[6]);
        MQTTProperties_add(&m.properties, &p);
        p.identifier = MQTTPROPERTY_CODE_USER_PROPERTY;
        p.value.data = borrow(w[7]);
        p.value.value = borrow(w[8]);
        MQTTProperties_add(&m.properties, &p);
    }
    int rc = MQTTAsync_sendMessage(c->handle, w[1], &m, &o);
    MQTTProperties_free(&m.properties);
    return rc;
}

static int leave(struct client *c)
{
    MQTTAsync_disconnectOptions o = MQTTAsync_disconnectOptions_initializer;
    if (c->options.version == 5) {
        o = (MQTTAsync_disconnectOptions)MQTTAsync_disconnectOptions_initializer5;
        o.onSuccess5 = on_left5;
    } else {
        o.onSuccess = on_left;
    }
    o.context = c;
    o.timeout = 5000;
    int rc = MQTTAsync_disconnect(c->handle, &o);
    if (rc == MQTTASYNC_SUCCESS) {
        sem_wait(&c->left);
    }
    return rc;
}

static int obey(struct client *c, char **w)
{
    if (strcmp(w[0], "subscribe") == 0) {
        MQTTAsync_responseOptions o = answer(c, on_subscribed, on_subscribed5);
        return MQTTAsync_subscribe(c->handle, w[1], atoi(w[2]), &o);
    }
    if (strcmp(w[0], "unsubscribe") == 0) {
        MQTTAsync_responseOptions o = answer(c, on_unsubscribed, on_unsubscribed5);
        return MQTTAsync_unsubscribe(c->handle, w[1], &o);
    }
    return publish(c, w);
}

static int create(struct client *c)
{
    char uri[128];
    snprintf(uri, sizeof uri, "tcp://%s:%d", c->options.host, c->options.port);
    MQTTAsync_createOptions o = MQTTAsync_createOptions_initializer;
    o.MQTTVersion = c->options.version;
    int rc = MQTTAsync_createWithOptions(&c->handle, uri, c->options.id,
                                         MQTTCLIENT_PERSISTENCE_NONE, NULL, &o);
    return rc ? rc : MQTTAsync_setCallbacks(c->handle, c, on_lost, on_message, NULL);
}

static int open_connection(struct client *c)
{
    const struct line_options *o = &c->options;
    MQTTProperties properties = MQTTProperties_initializer;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTAsync_connectOptions v3 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions v5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions *use = o->version == 5 ? &v5 : &v3;
    use->MQTTVersion = o->version;
    use->keepAliveInterval = o->keep_alive_s;
    use->context = c;
    if (o->version == 5) {
        MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL};
        expiry.value.integer4 = (unsigned)o->expiry_s;
        MQTTProperties_add(&properties, &expiry);
        use->connectProperties = &properties;
        use->cleanstart = o->is_clean;
        use->onSuccess5 = on_connected5;
        use->onFailure5 = on_refused5;
    } else {
        use->cleansession = o->is_clean;
        use->onSuccess = on_connected;
        use->onFailure = on_refused;
    }
    if (o->will_topic) {
        will.topicName = o->will_topic;
        will.message = o->will_payload;
        will.qos = o->will_qos;
        will.retained = o->will_retain;
        use->will = &will;
    }
    int rc = MQTTAsync_connect(c->handle, use);
    MQTTProperties_free(&properties);
    return rc;
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES];
    struct client c = {0};
    if (!line_options_read(&c.options, argc, argv) || sem_init(&c.left, 0, 0) != 0) {
        fprintf(stderr, "usage: see line_client.h\n");
        return 2;
    }
    int rc = create(&c);
    rc = rc ? rc : open_connection(&c);
    while (rc == MQTTASYNC_SUCCESS && fgets(line, sizeof line, stdin)) {
        struct line_command cmd;
        line_split(line, &cmd);
        if (strcmp(cmd.word[0], "disconnect") == 0) {
            rc = leave(&c);
            break;
        }
        rc = obey(&c, cmd.word);
    }
    MQTTAsync_destroy(&c.handle);
    return rc == MQTTASYNC_SUCCESS ? 0 : 1;
}
