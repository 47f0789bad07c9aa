/* SPDX-License-Identifier: MIT */
/*
 * Bytes of MQTT, as far as a load needs them. Writers answer where they ended.
 */
#ifndef BENCH_LOAD_WIRE_H
#define BENCH_LOAD_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum packet_type {
    CONNECT = 1,
    CONNACK,
    PUBLISH,
    PUBACK,
    PUBREC,
    PUBREL,
    PUBCOMP,
    SUBSCRIBE,
    SUBACK,
    PINGREQ = 12,
    PINGRESP,
    DISCONNECT,
};

uint8_t *put_u16(uint8_t *at, uint32_t value);
uint8_t *put_u32(uint8_t *at, uint32_t value);
uint8_t *put_varint(uint8_t *at, uint32_t value);
uint8_t *put_text(uint8_t *at, const char *text);
/* The last digits of value, ending before end. */
void put_digits(uint8_t *end, unsigned digits, uint64_t value);

uint32_t get_u16(const uint8_t *at);
/* NULL when it does not end before end, or is longer than four bytes. */
const uint8_t *get_varint(const uint8_t *at, const uint8_t *end, uint32_t *value);
/* Receive Maximum of a CONNACK's properties; 65535 when they have none. */
uint32_t get_receive_maximum(const uint8_t *at, const uint8_t *end);

#endif
