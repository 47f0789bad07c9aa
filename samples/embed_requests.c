/* SPDX-License-Identifier: MIT */
/*
 * A service in the broker's process that answers MQTT 5 requests: whoever publishes to service/sum
 * with a response topic gets the sum of the numbers in the payload there, with the same correlation
 * data. [MQTT 5, 4.10] The work is done on a thread of the service's own, because callbacks must
 * not block: the callback says "later" and queues the message.
 *
 *     embed_requests [URL]     runs until its input ends
 */
#include <mqttbroker.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW 64

/* Requests under way: at most WINDOW, because the subscription has a window of that. */
struct service {
    mqb_broker *broker;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    mqb_msg *waiting[WINDOW]; /* under lock, a ring; NULL tells the worker to end */
    unsigned first, count;
    mqb_sub sub;
};

static void push(struct service *s, mqb_msg *m)
{
    pthread_mutex_lock(&s->lock);
    s->waiting[(s->first + s->count++) % WINDOW] = m;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static mqb_msg *pop(struct service *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->count == 0)
        pthread_cond_wait(&s->changed, &s->lock);
    mqb_msg *m = s->waiting[s->first];
    s->first = (s->first + 1) % WINDOW;
    s->count--;
    pthread_mutex_unlock(&s->lock);
    return m;
}

/* On a thread of the broker. */
static int on_request(void *arg, mqb_broker *b, mqb_msg *m, const mqb_delivery *d)
{
    (void)b, (void)d;
    if (mqb_msg_response_topic(m).len == 0)
        return MQB_DELIVER_DONE; /* nobody wants to know */
    push(arg, m);
    return MQB_DELIVER_LATER;
}

static long sum_of(mqb_str payload)
{
    char text[1024], *p = text, *end;
    long sum = 0;
    snprintf(text, sizeof(text), "%.*s", (int)payload.len, payload.len ? payload.ptr : "");
    for (long n = strtol(p, &end, 10); end != p; n = strtol(p, &end, 10)) {
        sum += n;
        p = end;
    }
    return sum;
}

static void answer(struct service *s, const mqb_msg *request)
{
    char text[32];
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_msg_response_topic(request);
    o.correlation_data = mqb_msg_correlation_data(request);
    o.qos = mqb_msg_qos(request);
    o.payload_len = (size_t)snprintf(text, sizeof(text), "%ld", sum_of(mqb_msg_payload(request)));
    o.payload = text;
    o.content_type = mqb_str_of("text/plain");
    o.flags = MQB_PUB_UTF8;
    if (mqb_publish_wait(s->broker, &o, 5000) != MQB_OK)
        fprintf(stderr, "not answered: %s\n", mqb_last_error());
}

static void *work(void *arg)
{
    struct service *s = arg;
    mqb_msg *m;
    while ((m = pop(s)) != NULL) {
        answer(s, m);
        (void)mqb_deliver_done(s->broker, s->sub, m);
    }
    return NULL;
}

static mqb_err serve(struct service *s)
{
    pthread_t thread;
    mqb_subscribe_opts o = mqb_subscribe_defaults();
    o.filter = "service/sum";
    o.qos = 2;
    o.window = WINDOW - 1; /* one place is kept for the end */
    o.fn = on_request;
    o.arg = s;
    mqb_err err = mqb_subscribe_wait(s->broker, &o, -1, &s->sub);
    if (err != MQB_OK)
        return err;
    if (pthread_create(&thread, NULL, work, s) != 0)
        return MQB_ESYS;
    while (getchar() != EOF)
        ;
    err = mqb_unsubscribe_wait(s->broker, s->sub);
    push(s, NULL);
    pthread_join(thread, NULL);
    return err;
}

int main(int argc, char **argv)
{
    struct service s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    mqb_config *cfg = NULL;
    mqb_err err = mqb_config_new(&cfg);
    if (!err)
        err = mqb_broker_new(cfg, &s.broker);
    if (!err)
        err = mqb_listen(s.broker, argc > 1 ? argv[1] : "mqtt://127.0.0.1:1883", NULL, NULL);
    if (!err)
        err = mqb_broker_start(s.broker);
    if (!err)
        err = serve(&s);
    if (err)
        fprintf(stderr, "%s\n", mqb_last_error());
    mqb_broker_free(s.broker);
    mqb_config_free(cfg);
    return err ? 1 : 0;
}
