/* SPDX-License-Identifier: MIT */
/*
 * libmosquitto as a client of the interoperability suite: one connection, driven by lines
 * (line_client.h). One thread; owns the library's handle.
 */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <unistd.h>

#include "line_client.h"

struct client {
    struct line_options options;
    struct mosquitto *mosq;
    bool is_done;
    bool is_leaving;
};

static void on_connect(struct mosquitto *m, void *arg, int rc, int flags,
                       const mosquitto_property *p)
{
    (void)m;
    (void)arg;
    (void)p;
    line_print("connected", flags & 1, rc);
}

static void on_disconnect(struct mosquitto *m, void *arg, int rc, const mosquitto_property *p)
{
    struct client *c = arg;
    (void)m;
    (void)p;
    line_print(c->is_leaving ? "disconnected" : "lost", rc, 0);
    c->is_done = true;
}

static void on_publish(struct mosquitto *m, void *arg, int mid, int rc, const mosquitto_property *p)
{
    (void)m;
    (void)arg;
    (void)mid;
    (void)p;
    line_print("published", rc, 0);
}

static void on_subscribe(struct mosquitto *m, void *arg, int mid, int count, const int *granted,
                         const mosquitto_property *p)
{
    (void)m;
    (void)arg;
    (void)mid;
    (void)p;
    line_print("subscribed", count == 1 ? granted[0] : -1, 0);
}

static void on_unsubscribe(struct mosquitto *m, void *arg, int mid, const mosquitto_property *p)
{
    (void)m;
    (void)arg;
    (void)mid;
    (void)p;
    line_print("unsubscribed", 0, 0);
}

static void on_message(struct mosquitto *m, void *arg, const struct mosquitto_message *msg,
                       const mosquitto_property *p)
{
    (void)m;
    (void)arg;
    char *response = NULL;
    char *key = NULL;
    char *value = NULL;
    void *correlation = NULL;
    uint16_t correlation_bytes = 0;
    mosquitto_property_read_string(p, MQTT_PROP_RESPONSE_TOPIC, &response, false);
    mosquitto_property_read_binary(p, MQTT_PROP_CORRELATION_DATA, &correlation, &correlation_bytes,
                                   false);
    mosquitto_property_read_string_pair(p, MQTT_PROP_USER_PROPERTY, &key, &value, false);
    line_message_print(&(struct line_message){
        .topic = msg->topic,
        .payload = msg->payload ? msg->payload : "",
        .response_topic = response ? response : "",
        .correlation = correlation ? correlation : "",
        .key = key ? key : "",
        .value = value ? value : "",
        .payload_bytes = msg->payloadlen,
        .correlation_bytes = correlation_bytes,
        .qos = msg->qos,
        .is_retained = msg->retain,
    });
    free(response);
    free(correlation);
    free(key);
    free(value);
}

static int publish(struct client *c, char **w)
{
    mosquitto_property *p = NULL;
    if (w[5][0] != '\0') {
        mosquitto_property_add_string(&p, MQTT_PROP_RESPONSE_TOPIC, w[5]);
        mosquitto_property_add_binary(&p, MQTT_PROP_CORRELATION_DATA, w[6], (uint16_t)strlen(w[6]));
        mosquitto_property_add_string_pair(&p, MQTT_PROP_USER_PROPERTY, w[7], w[8]);
    }
    int rc = mosquitto_publish_v5(c->mosq, NULL, w[1], (int)strlen(w[4]), w[4], atoi(w[2]),
                                  atoi(w[3]) != 0, p);
    mosquitto_property_free_all(&p);
    return rc;
}

static int leave(struct client *c)
{
    c->is_leaving = true;
    return mosquitto_disconnect_v5(c->mosq, 0, NULL);
}

static int obey(struct client *c, char *line)
{
    struct line_command cmd;
    line_split(line, &cmd);
    char **w = cmd.word;
    if (strcmp(w[0], "subscribe") == 0) {
        return mosquitto_subscribe_v5(c->mosq, NULL, w[1], atoi(w[2]), 0, NULL);
    }
    if (strcmp(w[0], "unsubscribe") == 0) {
        return mosquitto_unsubscribe_v5(c->mosq, NULL, w[1], NULL);
    }
    if (strcmp(w[0], "publish") == 0) {
        return publish(c, w);
    }
    return leave(c);
}

/* Commands come as whole lines: the suite writes one at a time and waits for its answer. */
static bool read_command(struct client *c)
{
    static char line[LINE_BYTES];
    size_t n = 0;
    do {
        ssize_t got = read(STDIN_FILENO, line + n, sizeof line - n - 1);
        if (got <= 0) {
            return false;
        }
        n += (size_t)got;
    } while (line[n - 1] != '\n' && n < sizeof line - 1);
    line[n] = '\0';
    char *next = NULL;
    for (char *at = line; *at != '\0'; at = next) {
        next = at + strcspn(at, "\n") + 1;
        next[-1] = '\0';
        if (obey(c, at) != MOSQ_ERR_SUCCESS) {
            return false;
        }
    }
    return true;
}

static bool turn(struct client *c)
{
    short want = (short)(POLLIN | (mosquitto_want_write(c->mosq) ? POLLOUT : 0));
    struct pollfd fds[2] = {{.fd = mosquitto_socket(c->mosq), .events = want},
                            {.fd = STDIN_FILENO, .events = POLLIN}};
    if (poll(fds, 2, 200) < 0) {
        return false;
    }
    if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) {
        mosquitto_loop_read(c->mosq, 1);
    }
    if (fds[0].revents & POLLOUT) {
        mosquitto_loop_write(c->mosq, 1);
    }
    if (!c->is_done && (fds[1].revents & (POLLIN | POLLHUP))) {
        return read_command(c);
    }
    mosquitto_loop_misc(c->mosq);
    return true;
}

static int open_connection(struct client *c)
{
    const struct line_options *o = &c->options;
    int version = o->version == 5   ? MQTT_PROTOCOL_V5
                  : o->version == 4 ? MQTT_PROTOCOL_V311
                                    : MQTT_PROTOCOL_V31;
    mosquitto_int_option(c->mosq, MOSQ_OPT_PROTOCOL_VERSION, version);
    mosquitto_connect_v5_callback_set(c->mosq, on_connect);
    mosquitto_disconnect_v5_callback_set(c->mosq, on_disconnect);
    mosquitto_publish_v5_callback_set(c->mosq, on_publish);
    mosquitto_subscribe_v5_callback_set(c->mosq, on_subscribe);
    mosquitto_unsubscribe_v5_callback_set(c->mosq, on_unsubscribe);
    mosquitto_message_v5_callback_set(c->mosq, on_message);
    if (o->will_topic &&
        mosquitto_will_set_v5(c->mosq, o->will_topic, (int)strlen(o->will_payload), o->will_payload,
                              o->will_qos, o->will_retain, NULL) != MOSQ_ERR_SUCCESS) {
        return MOSQ_ERR_INVAL;
    }
    mosquitto_property *p = NULL;
    if (o->version == 5) {
        mosquitto_property_add_int32(&p, MQTT_PROP_SESSION_EXPIRY_INTERVAL, (uint32_t)o->expiry_s);
    }
    int rc = mosquitto_connect_bind_v5(c->mosq, o->host, o->port, o->keep_alive_s, NULL, p);
    mosquitto_property_free_all(&p);
    return rc;
}

int main(int argc, char **argv)
{
    struct client c = {0};
    if (!line_options_read(&c.options, argc, argv)) {
        fprintf(stderr, "usage: see line_client.h\n");
        return 2;
    }
    mosquitto_lib_init();
    c.mosq = mosquitto_new(c.options.id, c.options.is_clean, &c);
    bool is_well = c.mosq && open_connection(&c) == MOSQ_ERR_SUCCESS;
    while (is_well && !c.is_done) {
        is_well = turn(&c);
    }
    mosquitto_destroy(c.mosq);
    mosquitto_lib_cleanup();
    return is_well ? 0 : 1;
}
