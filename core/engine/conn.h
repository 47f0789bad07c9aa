/* SPDX-License-Identifier: MIT */
/*
 * A connection: one link, what has been read and not yet parsed, what has been written and not yet
 * sent. It begins on the worker that accepted it, moves at most once (handoff.c), and from then on
 * belongs to its session's home.
 *
 *     NEW --CONNECT--> ASKING --allowed--> (hand-off) --> OPEN --> CLOSING --> DOOMED
 *
 * CLOSING: nothing is read any more, the output is flushed, then it is doomed. DOOMED: freed at the
 * end of the turn.
 */
#ifndef MQBX_ENGINE_CONN_H
#define MQBX_ENGINE_CONN_H

#include "base/buffer.h"
#include "engine/output.h"
#include "engine/state.h"
#include "mqtt/packet.h"

enum conn_state { CONN_NEW, CONN_ASKING, CONN_OPEN, CONN_CLOSING, CONN_DOOMED };

struct alias_in;
struct alias_out;
struct arrival;
struct subscribe_op;

struct conn {
    struct link *link;
    struct session *session; /* OPEN only */
    struct list node;        /* engine.conns, or engine.doomed */
    struct list run_node;    /* engine.ready or engine.paused */
    struct conn *next_dirty; /* engine.dirty */
    struct timer timer;      /* NEW: connect timeout; OPEN: keep alive; CLOSING: grace */
    uint64_t number;         /* of the connection, never reused */
    struct output out;
    struct buffer in; /* read and not yet parsed */
    struct alias_in *alias_in;
    struct alias_out *alias_out;
    struct arrival *arrival; /* ASKING: what will arrive */
    struct asked
        *asked; /* a question about its input that has no answer, or one nobody has taken yet */
    uint64_t expires_ms;     /* monotonic; UINT64_MAX: never */
    struct subscribe_op *op; /* a SUBSCRIBE that waits for group homes: input is parked */
    uint64_t last_read_ms;   /* for the keep alive */
    uint64_t connected_wall_ms;
    uint64_t bytes_in, bytes_out, msgs_in, msgs_out;
    uint32_t keep_alive_ms;    /* with the grace factor in; 0: none */
    uint32_t max_packet_bytes; /* the client's Maximum Packet Size */
    uint16_t receive_maximum;  /* the client's */
    uint16_t alias_max_out;
    uint16_t mountpoint_len; /* of its session's identity */
    uint8_t version;         /* MQTT_V31, _V311, _V5; 0 before CONNECT */
    uint8_t state;           /* enum conn_state */
    uint8_t wants;           /* LINK_READ | LINK_WRITE as last told to the link */
    uint8_t end_reason;      /* != 0: to be sent away at the end of the turn, when no match is being
                                walked */
    bool is_dirty : 1;
    bool is_paused : 1;
    bool is_held_up : 1; /* Receive Maximum acknowledgements wait to be kept */
    bool is_parked : 1;  /* waits for an answer; bytes stay in `in` */
    bool has_acked : 1;  /* sent an acknowledgement in this turn */
    bool is_publisher : 1;
    bool wants_problem_info : 1;
    bool has_lost_peer : 1; /* nothing can be written any more */
};

struct conn *mqbx_conn_new(struct engine *e, struct link *l);
/* Starts the keep alive of an open connection. */
void mqbx_conn_start_keep_alive(struct engine *e, struct conn *c);
void mqbx_conn_ready(struct engine *e, struct conn *c); /* read it at the end of the turn */
void mqbx_conn_read(struct engine *e, struct conn *c);
/* Parses what has been read; stops at an incomplete packet, when parked or when closing. */
void mqbx_conn_parse_pending(struct engine *e, struct conn *c);
void mqbx_conn_park(struct engine *e, struct conn *c);
void mqbx_conn_unpark(struct engine *e, struct conn *c);
/* Not read while as many acknowledgements wait as Receive Maximum allows; asked when one was added
 * or has gone. */
void mqbx_conn_ack_room(struct engine *e, struct conn *c);
void mqbx_conn_update_wants(struct engine *e, struct conn *c);
void mqbx_conn_timer(struct engine *e, struct conn *c);

/* Ends a connection. `fail`: the client broke a rule or a limit: the reason code goes out where the
 * protocol has one, one log line is written, the will is due. `text` is one fixed sentence. `lost`:
 * the transport ended. `close`: no packet, no log line, as after DISCONNECT. All of them part it
 * from its session first. */
void mqbx_conn_fail(struct engine *e, struct conn *c, uint8_t reason, const char *text);
void mqbx_conn_lost(struct engine *e, struct conn *c, const char *text);
/* DISCONNECT with a reason of the server's own (taken over, kicked, stopping). */
void mqbx_conn_send_away(struct engine *e, struct conn *c, uint8_t reason, const char *text);
/* CONNACK with a refusal and close; before the session. */
void mqbx_conn_refuse(struct engine *e, struct conn *c, uint8_t reason, const char *text);
/* Flush and close, the session already parted. */
void mqbx_conn_close(struct engine *e, struct conn *c);
void mqbx_conn_doom(struct engine *e, struct conn *c);
void mqbx_conn_free(struct engine *e, struct conn *c);
/* As send_away with a log line, but at the end of the turn: while a match is being walked nothing
 * may change the index. */
void mqbx_conn_end_later(struct engine *e, struct conn *c, uint8_t reason);
void mqbx_conn_mark_dirty(struct engine *e, struct conn *c);
void mqbx_conn_flush(struct engine *e, struct conn *c);

void mqbx_conn_log(struct engine *e, const struct conn *c, enum log_level level, const char *event,
                   int reason, const char *detail);

#endif
