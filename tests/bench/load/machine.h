/* SPDX-License-Identifier: MIT */
/*
 * What the system tells: time, the processor time and memory of the broker's process and of this
 * one, and how quick the machine is just now.
 */
#ifndef BENCH_LOAD_MACHINE_H
#define BENCH_LOAD_MACHINE_H

#include <stdint.h>

/* Of a moment; the broker's fields are 0 without a process id. */
struct usage {
    uint64_t at_ns;
    double broker_cpu_us;
    double own_cpu_us;
    uint64_t broker_rss_kb;
    uint64_t broker_peak_kb; /* since machine_forget_peak */
};

uint64_t machine_now_ns(void);
struct usage machine_usage(int broker_pid);
void machine_forget_peak(int broker_pid);

/*
 * Processor time, in us, of one send and recv of 64 bytes over loopback, measured for 40 ms. A
 * shared machine drifts by tens of per cent (clock, caches, neighbours): runs are compared only
 * where this agrees. 0 when loopback does not work.
 */
double machine_calibrate(void);

#endif
