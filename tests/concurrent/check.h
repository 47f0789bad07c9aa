/* SPDX-License-Identifier: MIT */
/*
 * What the C tests of this folder check with, and small clients that wait with a deadline.
 */
#ifndef TESTS_CONCURRENT_CHECK_H
#define TESTS_CONCURRENT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition);  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { DEADLINE_MS = 20000 };

/* Runs a test and says so. */
#define RUN(test)                                                                                  \
    do {                                                                                           \
        printf("%s\n", #test);                                                                     \
        fflush(stdout);                                                                            \
        test();                                                                                    \
    } while (0)

uint64_t now_ms(void);
size_t open_descriptors(void);
size_t scaled(size_t count); /* times MQB_TEST_SCALE percent, at least 1 */

/* All of these fail the test when the deadline passes. */
int connect_to(uint16_t port); /* 127.0.0.1, non-blocking */
void send_all(int fd, const void *ptr, size_t len);
void receive_all(int fd, void *ptr, size_t len);
void expect_end(int fd); /* EOF or a reset */
void wait_until(bool (*is_so)(void *arg), void *arg);

#endif
