/* SPDX-License-Identifier: MIT */
/*
 * A connected socket as a link: what plain and TLS links have in common, and the plain link itself
 * (TCP, Unix sockets, adopted descriptors). Belongs to one worker at a time; while it travels it
 * refers to no loop.
 */
#ifndef MQBX_IO_STREAM_H
#define MQBX_IO_STREAM_H

#include "engine/seams.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/origin.h"

struct stream;

/* What a kind of link is: its operations, and how readiness of the socket becomes that of the link.
 */
struct stream_ops {
    struct link_ops link;
    void (*ready)(struct stream *s, uint32_t events);
};

struct stream {
    struct link link;      /* link.ops is the first member of a struct stream_ops */
    struct origin *origin; /* one reference */
    struct watch watch;    /* its loop is NULL while it travels */
    int fd;
    uint16_t error;  /* errno of what broke it, 0: nothing */
    uint16_t size;   /* of the allocation */
    uint8_t text_at; /* the address stands here, behind the struct */
    uint8_t wanted;  /* readiness the engine asked for */
    uint8_t needed;  /* what the socket must be for that */
    uint8_t armed; /* what it is watched for: needed, or LINK_READ in vain until that is noticed */
    bool is_loopback;
    bool is_drained; /* the last recv took all there was: the next one need not ask */
    bool is_over;    /* the peer is gone or the socket is broken */
};

/* A link over a connected, non-blocking socket, plain or TLS as the origin says. Takes over fd and
 * adds a reference to the origin. NULL: out of memory, fd is still the caller's. */
struct link *mqbx_link_new(const struct alloc *a, int fd, struct origin *origin,
                           const struct address *peer);

/* --- for the kinds of link alone ------------------------------------------------------------ */

/* `header` is the size of the kind's own struct, which begins with a struct stream. */
struct stream *mqbx_stream_new(const struct alloc *a, size_t header, int fd, struct origin *origin,
                               const struct address *peer, const struct stream_ops *ops);
void mqbx_stream_free(struct stream *s);   /* closes the socket */
void mqbx_stream_disown(struct stream *s); /* the same, but leaves the socket to the caller */
/* Reads away what has come, so that closing the socket does not reset the connection. */
void mqbx_stream_drain(struct stream *s);
bool mqbx_stream_attach(struct link *l, void *loop); /* these two as in link_ops */
void mqbx_stream_detach(struct link *l);
void mqbx_stream_need(struct stream *s, uint32_t events);
/* Tells the engine, which may close the link in return: nothing of it may be touched afterwards. */
void mqbx_stream_report(struct stream *s, uint32_t events);
void mqbx_stream_hurry(const struct stream *s); /* acknowledge what was read now */
void mqbx_stream_facts(const struct stream *s, struct link_facts *out);

/* Bytes (> 0) or a link_result; never SIGPIPE. */
int64_t mqbx_stream_recv(struct stream *s, void *out, size_t cap);
int64_t mqbx_stream_send(struct stream *s, const void *ptr, size_t len);

#endif
