/* SPDX-License-Identifier: MIT */
/*
 * A load for one MQTT broker: one scenario, one line of JSON. Answers 0 when it ran; what was lost,
 * twice or out of order is in the line.
 */
#include <sys/prctl.h>

#include "load.h"

int main(int argc, char **argv)
{
    struct options o = options_read(argc, argv);
    prctl(PR_SET_TIMERSLACK, 1); /* a fixed rate is kept to the microsecond */
    struct load *l = load_new(&o);
    switch (o.scenario) {
    case RETAIN:
        retain_run(l);
        break;
    case OFFLINE:
        offline_run(l);
        break;
    case CONN:
        conn_run(l);
        break;
    default:
        traffic_run(l);
        break;
    }
    load_free(l);
    return 0;
}
