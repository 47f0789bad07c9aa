/* SPDX-License-Identifier: MIT */
/*
 * A broker in twelve lines. Listens on 127.0.0.1:1883 (or the URL given) until Enter is pressed,
 * and says what arrives at one topic.
 */
#include <mqttbroker.h>
#include <stdio.h>

static int on_message(void *arg, mqb_broker *b, mqb_msg *m, const mqb_delivery *d)
{
    (void)arg, (void)b, (void)d;
    mqb_str topic = mqb_msg_topic(m), payload = mqb_msg_payload(m);
    printf("%.*s: %.*s\n", (int)topic.len, topic.ptr, (int)payload.len, payload.ptr);
    fflush(stdout);
    return MQB_DELIVER_DONE;
}

int main(int argc, char **argv)
{
    mqb_config *cfg = NULL;
    mqb_broker *b = NULL;
    mqb_err err = mqb_config_new(&cfg);
    if (!err)
        err = mqb_broker_new(cfg, &b);
    if (!err)
        err = mqb_listen(b, argc > 1 ? argv[1] : "mqtt://127.0.0.1:1883", NULL, NULL);
    if (!err)
        err = mqb_broker_start(b);
    if (!err)
        err = mqb_subscribe(b, "sensor/+/temperature", 1, on_message, NULL, NULL);
    if (err)
        fprintf(stderr, "%s\n", mqb_last_error());
    else
        getchar();
    mqb_broker_free(b);
    mqb_config_free(cfg);
    return err ? 1 : 0;
}
