/* SPDX-License-Identifier: MIT */
/*
 * Who publishes to what, and who subscribes to what.
 *
 * Wildcard: one third of the filters each is s/+/+, +/s/+ and +/+/s with different words s; a
 * message has words of filters on as many levels as it is to meet filters, others elsewhere.
 */
#ifndef BENCH_LOAD_TOPICS_H
#define BENCH_LOAD_TOPICS_H

#include "load.h"

#define TOPIC_BYTES 160u

uint32_t filter_count(const struct load *l, uint32_t subscriber);
void filter_write(const struct load *l, uint32_t subscriber, uint32_t which,
                  char text[TOPIC_BYTES]);
/* The topic of a publisher's messages, with zeros for what topic_vary sets. */
void topic_write(const struct load *l, uint32_t publisher, char text[TOPIC_BYTES]);
void topic_vary(struct load *l, uint8_t *topic_end, uint64_t sequence);

#endif
