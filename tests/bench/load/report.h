/* SPDX-License-Identifier: MIT */
/*
 * One JSON object on one line of standard output.
 */
#ifndef BENCH_LOAD_REPORT_H
#define BENCH_LOAD_REPORT_H

#include "load.h"

/* Begins the line: the scenario and the options that shape it. */
void report_begin(const struct load *l);
void report_number(const char *name, double value);
/* Broker's processor time per unit and the load's own, each named NAME_us; nothing without a
 * broker. */
void report_cpu(const char *name, const struct usage *from, const struct usage *to, uint64_t units);
/* Growth of the broker's memory per unit, in bytes. */
void report_growth(const char *name, const struct usage *from, const struct usage *to,
                   uint64_t units);
void report_times(const char *name, const struct histogram *h);
/* Losses, of so many expected; then counts, memory, calibration, and ends the line. */
void report_end(struct load *l, uint64_t expected, const struct usage *last);

#endif
