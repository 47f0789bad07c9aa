/* SPDX-License-Identifier: MIT */
/*
 * A broker inside a program that has its own poll() loop: no thread is started. The loop here also
 * reads lines from standard input and publishes them, "TOPIC PAYLOAD" each; it ends with the input.
 *
 *     embed_loop [URL]
 */
#include <mqttbroker.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct lines {
    char buf[4096];
    size_t len;
};

static int on_message(void *arg, mqb_broker *b, mqb_msg *m, const mqb_delivery *d)
{
    (void)arg, (void)b, (void)d;
    mqb_str topic = mqb_msg_topic(m), payload = mqb_msg_payload(m);
    printf("%.*s: %.*s\n", (int)topic.len, topic.ptr, (int)payload.len, payload.ptr);
    fflush(stdout);
    return MQB_DELIVER_DONE;
}

static void publish_line(mqb_broker *b, char *line)
{
    char *payload = line + strcspn(line, " ");
    if (*payload != '\0')
        *payload++ = '\0';
    if (mqb_publish(b, line, payload, strlen(payload), 1, 0) != MQB_OK)
        fprintf(stderr, "not published: %s\n", mqb_last_error());
}

/* False: the input has ended. */
static bool read_lines(mqb_broker *b, struct lines *in)
{
    ssize_t n = read(STDIN_FILENO, in->buf + in->len, sizeof(in->buf) - in->len);
    if (n <= 0)
        return false;
    in->len += (size_t)n;
    char *end;
    while ((end = memchr(in->buf, '\n', in->len)) != NULL) {
        *end = '\0';
        publish_line(b, in->buf);
        in->len -= (size_t)(end + 1 - in->buf);
        memmove(in->buf, end + 1, in->len);
    }
    return in->len < sizeof(in->buf);
}

/* The broker is one descriptor among the host's others, and one time-out. */
static mqb_err loop(mqb_broker *b)
{
    struct lines in = {.len = 0};
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = mqb_broker_fd(b), .events = POLLIN}};
    mqb_err err = MQB_OK;
    while (err == MQB_OK) {
        int64_t timeout_ms = mqb_broker_timeout(b);
        if (poll(fds, 2, timeout_ms > 60000 ? 60000 : (int)timeout_ms) < 0)
            break;
        if (fds[0].revents != 0 && !read_lines(b, &in))
            break;
        err = mqb_broker_step(b, 0);
    }
    return err;
}

int main(int argc, char **argv)
{
    mqb_config *cfg = NULL;
    mqb_broker *b = NULL;
    mqb_err err = mqb_config_new(&cfg);
    if (!err)
        err = mqb_config_set(cfg, "threads", "0");
    if (!err)
        err = mqb_broker_new(cfg, &b);
    if (!err)
        err = mqb_listen(b, argc > 1 ? argv[1] : "mqtt://127.0.0.1:1883", NULL, NULL);
    if (!err)
        err = mqb_broker_start(b);
    if (!err)
        err = mqb_subscribe(b, "#", 1, on_message, NULL, NULL);
    if (!err)
        err = loop(b);
    if (!err)
        err = mqb_broker_stop(b, 1000);
    if (err)
        fprintf(stderr, "%s\n", mqb_last_error());
    mqb_broker_free(b);
    mqb_config_free(cfg);
    return err ? 1 : 0;
}
