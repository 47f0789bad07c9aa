/* SPDX-License-Identifier: MIT */
/*
 * What the C clients of the interoperability suite share: the command line, the commands on stdin
 * and the lines on stdout (tests/interop/client.py explains them). Knows no MQTT library.
 */
#ifndef INTEROP_LINE_CLIENT_H
#define INTEROP_LINE_CLIENT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_FIELDS = 9, LINE_BYTES = 65536 };

struct line_options {
    const char *host;
    const char *id;
    const char *will_topic; /* NULL: no will */
    const char *will_payload;
    int port;
    int version; /* 3, 4, 5 */
    int expiry_s;
    int keep_alive_s;
    int will_qos;
    bool is_clean;
    bool will_retain;
};

/* HOST PORT VERSION ID CLEAN EXPIRY KEEPALIVE [WILL_TOPIC WILL_QOS WILL_RETAIN WILL_PAYLOAD] */
static inline bool line_options_read(struct line_options *o, int argc, char **argv)
{
    if (argc != 8 && argc != 12) {
        return false;
    }
    *o = (struct line_options){
        .host = argv[1],
        .id = argv[4],
        .port = atoi(argv[2]),
        .version = atoi(argv[3]),
        .expiry_s = atoi(argv[6]),
        .keep_alive_s = atoi(argv[7]),
        .is_clean = atoi(argv[5]) != 0,
    };
    if (argc == 12) {
        o->will_topic = argv[8];
        o->will_qos = atoi(argv[9]);
        o->will_retain = atoi(argv[10]) != 0;
        o->will_payload = argv[11];
    }
    return true;
}

/* The words of a command, cut at tabs in place; those that are not there are "". */
struct line_command {
    char *word[LINE_FIELDS];
};

static inline void line_split(char *line, struct line_command *c)
{
    line[strcspn(line, "\n")] = '\0';
    char *at = line;
    for (int i = 0; i < LINE_FIELDS; i++) {
        c->word[i] = at;
        at += strcspn(at, "\t");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
}

/* One received message as a line; properties that are not there are "". */
struct line_message {
    const char *topic;
    const char *payload;
    const char *response_topic;
    const char *correlation;
    const char *key; /* of the first user property */
    const char *value;
    int payload_bytes;
    int correlation_bytes;
    int qos;
    bool is_retained;
};

static inline void line_message_print(const struct line_message *m)
{
    printf("message\t%s\t%d\t%d\t%.*s\t%s\t%.*s\t%s\t%s\n", m->topic, m->qos, m->is_retained,
           m->payload_bytes, m->payload, m->response_topic, m->correlation_bytes, m->correlation,
           m->key, m->value);
    fflush(stdout);
}

static inline void line_print(const char *word, int first, int second)
{
    printf("%s\t%d\t%d\n", word, first, second);
    fflush(stdout);
}

#endif
